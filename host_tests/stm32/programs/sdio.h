// SPDX-License-Identifier: MIT
//
// What programs for SDIO share: the card's commands, and its blocks by DMA.
#pragma once

#include "f4.h"

enum {
    SDIO = 0x40012c00, POWER = SDIO, CLKCR = SDIO + 4, ARG = SDIO + 8, CMD = SDIO + 0xc,
    RESPCMD = SDIO + 0x10, RESP1 = SDIO + 0x14, RESP4 = SDIO + 0x20, DTIMER = SDIO + 0x24,
    DLEN = SDIO + 0x28, DCTRL = SDIO + 0x2c, DCOUNT = SDIO + 0x30, STA = SDIO + 0x34,
    ICR = SDIO + 0x38, MASK = SDIO + 0x3c, FIFO = SDIO + 0x80,
};
enum {
    CCRCFAIL = 1 << 0, DCRCFAIL = 1 << 1, CTIMEOUT = 1 << 2, DTIMEOUT = 1 << 3, TXUNDERR = 1 << 4,
    RXOVERR = 1 << 5, CMDREND = 1 << 6, CMDSENT = 1 << 7, DATAEND = 1 << 8, DBCKEND = 1 << 10,
    CMDACT = 1 << 11, RXFIFOHF = 1 << 15, RXDAVL = 1 << 21,
    COMMAND_OVER = CCRCFAIL | CTIMEOUT | CMDREND | CMDSENT,
    DATA_FAILED = DCRCFAIL | DTIMEOUT | TXUNDERR | RXOVERR, DATA_OVER = DATA_FAILED | DATAEND,
};
enum { CLKEN = 1 << 8, WIDE = 1 << 11, SLOW = 118 };
enum { CPSMEN = 1 << 10, NONE = 0, SHORT = 1 << 6, LONG = 3 << 6 };
enum { DTEN = 1, TO_HOST = 2, DMAEN = 8, BYTES_8 = 3 << 4, BYTES_512 = 9 << 4 };
enum {
    DMA2 = 0x40026400, LISR = DMA2, LIFCR = DMA2 + 8, STREAM3 = DMA2 + 0x58, CR = STREAM3,
    NDTR = STREAM3 + 4, PAR = STREAM3 + 8, M0AR = STREAM3 + 12, FCR = STREAM3 + 20,
};
enum {
    EN = 1, TCIE = 1 << 4, TO_PERIPHERAL = 1 << 6, TCIF3 = 1 << 27, ALL_FLAGS3 = 0x3d << 22,
    // Channel 4, bursts of four words, increments, words, the peripheral controls the flow.
    STREAM = 4 << 25 | 1 << 23 | 1 << 21 | 2 << 13 | 2 << 11 | 1 << 10 | 1 << 5,
};
enum { SDIO_IRQ = 49, STREAM3_IRQ = 59 };
enum { ILLEGAL_COMMAND = 1u << 22, OUT_OF_RANGE = 1u << 31 };

static uint32_t rca;

static inline void controller_on(void) {
    REG(AHB1ENR) |= 0xf | 1 << 22;
    REG(APB2ENR) |= 1 << 11;
    REG(APB2RSTR) |= 1 << 11;
    REG(APB2RSTR) &= ~(1u << 11);
    REG(RCC + 4) = 4 << 24 | 192 << 6 | 16;  // the PLL gives 48 MHz
    REG(RCC) |= 1 << 24;
    wait_until(RCC, 1 << 25, 1 << 25);
    for (unsigned pin = 8; pin <= 12; pin++) {
        pin_function(GPIOC, pin, 12, false);
    }
    pin_function(GPIOD, 2, 12, false);
    REG(POWER) = 3;
    REG(CLKCR) = SLOW | CLKEN;
}

// Sends a command; gives the flags that end it.
static inline uint32_t command(unsigned index, uint32_t argument, uint32_t response) {
    REG(ICR) = COMMAND_OVER;
    REG(ARG) = argument;
    REG(CMD) = index | response | CPSMEN;
    while (!(REG(STA) & COMMAND_OVER)) {
    }
    uint32_t flags = REG(STA) & COMMAND_OVER;
    REG(ICR) = COMMAND_OVER;
    return flags;
}

static inline uint32_t application(unsigned index, uint32_t argument) {
    if (command(55, rca, SHORT) != CMDREND) {
        return CTIMEOUT;
    }
    return command(index, argument, SHORT);
}

static inline uint32_t card_state(void) {
    return command(13, rca, SHORT) == CMDREND ? REG(RESP1) >> 9 & 15 : 0xff;
}

// From power on to the transfer state, with four lines at 24 MHz; false: no card.
static inline bool identify(void) {
    rca = 0;
    REG(CLKCR) = SLOW | CLKEN;
    wait_cycles(10000);
    command(0, 0, NONE);
    if (command(8, 0x1aa, SHORT) != CMDREND) {
        return false;
    }
    do {
        application(41, 0x40100000);
    } while (!(REG(RESP1) >> 31));
    command(2, 0, LONG);
    command(3, 0, SHORT);
    rca = REG(RESP1) & 0xffff0000;
    command(7, rca, SHORT);
    application(6, 2);
    REG(CLKCR) = CLKEN | WIDE;
    return true;
}

static inline void stream_on(uint32_t memory, bool writes) {
    REG(CR) = 0;
    REG(LIFCR) = ALL_FLAGS3;
    REG(PAR) = FIFO;
    REG(M0AR) = memory;
    REG(FCR) = 7;
    REG(CR) = STREAM | (writes ? TO_PERIPHERAL : 0);
    REG(CR) |= EN;
}

static inline void data(uint32_t length, uint32_t control) {
    REG(ICR) = DATA_OVER | DBCKEND;
    REG(DCTRL) = 0;
    REG(DTIMER) = 0xffffff;
    REG(DLEN) = length;
    REG(DCTRL) = control | DTEN;
}

static inline uint32_t data_over(void) {
    while (!(REG(STA) & DATA_OVER)) {
    }
    uint32_t flags = REG(STA) & DATA_OVER;
    REG(DCTRL) = 0;
    return flags;
}

// Reads blocks by DMA; gives the flags of the end.
static inline uint32_t read_blocks(uint32_t memory, uint32_t block, unsigned count) {
    stream_on(memory, false);
    data(512 * count, BYTES_512 | TO_HOST | DMAEN);
    uint32_t flags = command(count > 1 ? 18 : 17, block, SHORT);
    if (flags != CMDREND) {
        REG(DCTRL) = 0;
        return flags;
    }
    flags = data_over();
    if (count > 1) {
        command(12, 0, SHORT);
    }
    return flags;
}

static inline uint32_t write_blocks(uint32_t memory, uint32_t block, unsigned count) {
    uint32_t flags = command(count > 1 ? 25 : 24, block, SHORT);
    if (flags != CMDREND) {
        return flags;
    }
    stream_on(memory, true);
    data(512 * count, BYTES_512 | DMAEN);
    flags = data_over();
    if (count > 1) {
        command(12, 0, SHORT);
    }
    return flags;
}
