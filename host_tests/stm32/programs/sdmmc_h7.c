// SPDX-License-Identifier: MIT
//
// SDMMC1 of the H743 and a card: identification, blocks by DMA and through the FIFO, an error. What
// the part refuses: CASE > 0.

#include "h7.h"

#ifndef CASE
#define CASE 0
#endif

enum {
    SDMMC = 0x52007000, POWER = SDMMC, CLKCR = SDMMC + 0x04, ARG = SDMMC + 0x08,
    CMD = SDMMC + 0x0c, RESPCMD = SDMMC + 0x10, RESP1 = SDMMC + 0x14, DTIMER = SDMMC + 0x24,
    DLEN = SDMMC + 0x28, DCTRL = SDMMC + 0x2c, DCOUNT = SDMMC + 0x30, STA = SDMMC + 0x34,
    ICR = SDMMC + 0x38, IDMACTRL = SDMMC + 0x50, IDMABASE0 = SDMMC + 0x58, FIFO = SDMMC + 0x80,
};
enum {
    CCRCFAIL = 1, DTIMEOUT = 8, CTIMEOUT = 4, CMDREND = 1 << 6, CMDSENT = 1 << 7,
    DATAEND = 1 << 8, DABORT = 1 << 11, DPSMACT = 1 << 12, RXFIFOHF = 1 << 15,
    RXFIFOE = 1 << 19,
};
enum { CMDTRANS = 1 << 6, CMDSTOP = 1 << 7, SHORT = 1 << 8, NO_CRC = 2 << 8, LONG = 3 << 8 };
enum { CPSMEN = 1 << 12, WIDE = 1 << 14, DTEN = 1, TO_HOST = 2, BLOCK_512 = 9 << 4 };
enum { SDMMC1_CLOCK = 1 << 16, BUFFER = 0x24000000, WORDS = 128, BLOCK = 7 };

static uint32_t rca;

static uint32_t command(uint32_t index, uint32_t response, uint32_t argument) {
    REG(ARG) = argument;
    REG(CMD) = CPSMEN | response | index;
    while (!(REG(STA) & (CCRCFAIL | CTIMEOUT | CMDREND | CMDSENT))) {
    }
    uint32_t flags = REG(STA) & (CCRCFAIL | CTIMEOUT | CMDREND | CMDSENT);
    REG(ICR) = flags;
    return flags;
}

static void acknowledged(uint32_t index, uint32_t response, uint32_t argument) {
    EQUAL(command(index, response, argument), CMDREND);
    EQUAL(REG(RESPCMD), (response & LONG) == LONG || (response & LONG) == NO_CRC ? 63 : index & 63);
}

static void initialize(void) {
    REG(AHB4ENR) |= 0xc;
    REG(AHB3ENR) |= SDMMC1_CLOCK;
    for (unsigned pin = 8; pin <= 12; pin++) {
        pin_function(GPIOC, pin, 12, false);
    }
    pin_function(GPIOD, 2, 12, false);
    // PLL1Q: HSI 64 MHz / 32 * 100 / 4 = 50 MHz
    change(PLLCKSELR, 0x3f3, 32 << 4);
    change(PLLCFGR, 15, 1 << 2);
    REG(PLL1DIVR) = 1 << 24 | 3 << 16 | 1 << 9 | 99;
    REG(RCC_CR) |= PLL1ON;
    wait_until(RCC_CR, PLL1RDY, PLL1RDY);
    REG(CLKCR) = 64;  // 390 kHz
    REG(POWER) = 3;
    wait_cycles(64000);  // more than 74 clocks
}

static void identify(void) {
    EQUAL(command(0, 0, 0), CMDSENT);
    acknowledged(8, SHORT, 0x1aa);
    do {
        acknowledged(55, SHORT, 0);
        acknowledged(41, NO_CRC, 0x40ff8000);
    } while (!(REG(RESP1) >> 31));
    acknowledged(2, LONG, 0);
    acknowledged(3, SHORT, 0);
    rca = REG(RESP1) & 0xffff0000;
    acknowledged(7, SHORT, rca);
    REG(CLKCR) = 1;  // 25 MHz
    acknowledged(55, SHORT, rca);
    acknowledged(6, SHORT, 2);
    REG(CLKCR) = WIDE | 1;
    acknowledged(16, SHORT, 512);
}

static void prepare(uint32_t direction, uint32_t blocks) {
    REG(DTIMER) = 25000000;
    REG(DLEN) = 512 * blocks;
    REG(DCTRL) = BLOCK_512 | direction;
}

static void data_end(void) {
    wait_until(STA, DPSMACT, 0);
    EQUAL(REG(STA) & 0x13f, DATAEND);
    EQUAL(REG(DCOUNT), 0);
    REG(ICR) = DATAEND;
}

static void by_dma(uint32_t index, uint32_t direction, uint32_t blocks) {
    prepare(direction, blocks);
    REG(IDMABASE0) = BUFFER;
    REG(IDMACTRL) = 1;
    acknowledged(index | CMDTRANS, SHORT, BLOCK);
    data_end();
    REG(IDMACTRL) = 0;
    if (blocks > 1) {
        acknowledged(12 | CMDSTOP, SHORT, 0);
    }
}

static void through_the_fifo(void) {
    prepare(TO_HOST, 1);
    acknowledged(17 | CMDTRANS, SHORT, BLOCK);
    for (uint32_t i = 0; i < WORDS;) {
        wait_until(STA, RXFIFOHF, RXFIFOHF);
        for (unsigned end = i + 8; i < end; i++) {
            EQUAL(REG(FIFO), 0x5a000000 + i);
        }
    }
    data_end();
    EQUAL(REG(STA) & RXFIFOE, RXFIFOE);
}

static void forbidden(void) {
    initialize();
    switch (CASE) {
        case 1:
            identify();
            prepare(TO_HOST, 1);
            REG(IDMABASE0) = 0x20000000;  // DTCM
            REG(IDMACTRL) = 1;
            command(17 | CMDTRANS, SHORT, BLOCK);
            break;
        case 2:
            (void)REG(FIFO);
            break;
        case 3:
            REG(CMD) = CPSMEN | 0;
            REG(CMD) = CPSMEN | 0;
            break;
        case 4:
            REG(CLKCR) = 1;
            command(0, 0, 0);
            command(8, SHORT, 0x1aa);
            break;
        case 5:
            REG(IDMACTRL) = 1 | 1 << 1;  // double buffers
            break;
        case 6:
            pin_function(GPIOC, 12, 0, false);
            command(0, 0, 0);
            break;
    }
}

void test(void) {
    if (CASE) {
        forbidden();
        return;
    }
    initialize();
    identify();
    for (uint32_t i = 0; i < 2 * WORDS; i++) {
        REG(BUFFER + 4 * i) = 0x5a000000 + i;
    }
    by_dma(25, 0, 2);
    wait_cycles(64000 * 5);  // the card writes
    for (uint32_t i = 0; i < 2 * WORDS; i++) {
        REG(BUFFER + 4 * i) = 0;
    }
    by_dma(18, TO_HOST, 2);
    for (uint32_t i = 0; i < 2 * WORDS; i++) {
        EQUAL(REG(BUFFER + 4 * i), 0x5a000000 + i);
    }
    through_the_fifo();
    // No block comes: the limit of time ends the wait.
    prepare(TO_HOST, 1);
    REG(DTIMER) = 1000;
    REG(DCTRL) |= DTEN;
    EQUAL(REG(STA) & DPSMACT, DPSMACT);
    wait_until(STA, DTIMEOUT, DTIMEOUT);
    REG(ICR) = DTIMEOUT;
    EQUAL(command(13, SHORT, 0), CTIMEOUT);  // not its address
    acknowledged(13, SHORT, rca);
    // On is left by a reset only.
    REG(POWER) = 0;
    EQUAL(REG(POWER), 3);
}
