// SPDX-License-Identifier: MIT
//
// SDIO, DMA2 and an SD card: identification, blocks, errors, and what is refused (CASE > 0). The
// card has 1 MiB; the word i of its first block is 0x01000000 + i.

#include "sdio.h"

#ifndef CASE
#define CASE 0
#endif

#define BLOCKS 2048

static uint32_t buffer[512] __attribute__((aligned(1024)));

static void identification(void) {
    EQUAL(REG(STA) & 0x7ff, 0);
    wait_cycles(10000);
    EQUAL(command(0, 0, NONE), CMDSENT);
    EQUAL(command(13, 0, SHORT), CTIMEOUT);  // not in this state
    EQUAL(command(8, 0x1aa, SHORT), CMDREND);
    EQUAL(REG(RESPCMD), 8);
    EQUAL(REG(RESP1), 0x1aa);
    uint32_t start = cycles(0), waits = 0;
    for (;;) {
        EQUAL(command(55, 0, SHORT), CMDREND);
        EQUAL(REG(RESP1) & ~ILLEGAL_COMMAND, 1 << 8 | 1 << 5);
        EQUAL(command(41, 0x40100000, SHORT), CCRCFAIL);  // R3 has no CRC
        EQUAL(REG(RESPCMD), 0x3f);
        if (REG(RESP1) >> 31) {
            break;
        }
        EQUAL(REG(RESP1), 0x00ff8000);
        waits++;
    }
    EQUAL(REG(RESP1), 0xc0ff8000);
    CHECK(waits > 5 && cycles(start) > 5 * 16000);
    EQUAL(command(2, 0, LONG), CMDREND);
    EQUAL(REG(RESP1) >> 24, 0x1b);
    EQUAL(REG(RESP4) & 1, 0);
    EQUAL(command(3, 0, SHORT), CMDREND);
    EQUAL(REG(RESP1) & 0xffff, 2 << 9 | 1 << 8);
    rca = REG(RESP1) & 0xffff0000;
    EQUAL(card_state(), 3);
    EQUAL(command(9, rca, LONG), CMDREND);
    EQUAL(REG(RESP1) >> 30, 1);
    EQUAL((REG(RESP1 + 4) & 0x3f) << 16 | REG(RESP1 + 8) >> 16, BLOCKS / 1024 - 1);
    EQUAL(command(9, 0, LONG), CTIMEOUT);  // somebody else's
    EQUAL(command(7, rca, SHORT), CMDREND);
    EQUAL(REG(RESP1) >> 9 & 15, 3);  // the state before
    EQUAL(card_state(), 4);
}

// SCR says that the card has four lines: eight bytes on one line, read by software.
static void four_lines(void) {
    uint32_t words[2] = {0, 0};
    unsigned count = 0;
    REG(CLKCR) = CLKEN | 10;
    command(16, 8, SHORT);
    command(55, rca, SHORT);
    data(8, BYTES_8 | TO_HOST);
    EQUAL(command(51, 0, SHORT), CMDREND);
    while (!(REG(STA) & (DATA_FAILED | DBCKEND))) {
        if (REG(STA) & RXDAVL) {
            words[count++ & 1] = REG(FIFO);
        }
    }
    EQUAL(count, 2);
    EQUAL(words[0] & 0xff, 2);
    EQUAL(words[0] >> 8 & 5, 5);
    EQUAL(REG(STA) & DATA_OVER, DATAEND);
    EQUAL(application(6, 2), CMDREND);
    REG(CLKCR) = CLKEN | WIDE;
}

static void errors(void) {
    EQUAL(command(2, 0, LONG), CTIMEOUT);
    EQUAL(command(13, rca, SHORT), CMDREND);
    EQUAL(REG(RESP1), ILLEGAL_COMMAND | 4 << 9 | 1 << 8);
    EQUAL(command(13, rca, SHORT), CMDREND);
    EQUAL(REG(RESP1), 4 << 9 | 1 << 8);
    EQUAL(command(17, BLOCKS, SHORT), CMDREND);
    EQUAL(REG(RESP1) & OUT_OF_RANGE, OUT_OF_RANGE);
    EQUAL(card_state(), 4);
    EQUAL(command(12, 0, SHORT), CTIMEOUT);
}

static void reads(void) {
    EQUAL(read_blocks((uint32_t)buffer, 0, 1), DATAEND);
    EQUAL(buffer[0], 0x01000000);
    EQUAL(buffer[127], 0x0100007f);
    EQUAL(REG(LISR), TCIF3);
    EQUAL(REG(CR) & EN, 0);
    EQUAL(REG(NDTR), 0xffff - 128);
    EQUAL(card_state(), 4);
    EQUAL(read_blocks((uint32_t)buffer, 0, 3), DATAEND);
    EQUAL(buffer[128], 0);
    EQUAL(card_state(), 4);
    // Software alone is too slow at 24 MHz.
    data(512, BYTES_512 | TO_HOST);
    EQUAL(command(17, 0, SHORT), CMDREND);
    EQUAL(data_over(), RXOVERR);
    while (REG(STA) & RXDAVL) {
        REG(FIFO);
    }
    wait_cycles(2000);  // the card sends its block to the end
    // The first data come after the card's latency.
    data(512, BYTES_512 | TO_HOST);
    REG(DCTRL) = 0;
    REG(DTIMER) = 5000;
    REG(DCTRL) = BYTES_512 | TO_HOST | DTEN;
    EQUAL(command(17, 0, SHORT), CMDREND);
    EQUAL(data_over(), DTIMEOUT);
    EQUAL(card_state(), 5);
    wait_cycles(20000);
    EQUAL(card_state(), 4);
}

static void one_line_is_not_four(void) {
    REG(CLKCR) = CLKEN;
    EQUAL(read_blocks((uint32_t)buffer, 0, 1), DCRCFAIL);
    REG(CR) = 0;
    REG(CLKCR) = CLKEN | WIDE;
    EQUAL(card_state(), 4);
}

static void writes(void) {
    for (unsigned i = 0; i < 256; i++) {
        buffer[i] = 0x5a000000 + i;
    }
    uint32_t start = cycles(0);
    EQUAL(write_blocks((uint32_t)buffer, 7, 2), DATAEND);
    CHECK(cycles(start) > 2 * 2000 * 16);  // 2 ms a block
    EQUAL(REG(LISR), TCIF3);
    while (card_state() != 4) {
    }
    for (unsigned i = 0; i < 256; i++) {
        buffer[i] = 0;
    }
    EQUAL(read_blocks((uint32_t)buffer, 7, 2), DATAEND);
    EQUAL(buffer[0], 0x5a000000);
    EQUAL(buffer[255], 0x5a0000ff);
    // Without data in time
    EQUAL(command(24, 9, SHORT), CMDREND);
    data(512, BYTES_512);
    for (unsigned i = 0; i < 20; i++) {
        REG(FIFO) = i;
    }
    EQUAL(data_over(), TXUNDERR);
    EQUAL(command(12, 0, SHORT), CMDREND);
}

static volatile unsigned stream_irqs, sdio_irqs;

static void on_stream(void) {
    stream_irqs++;
    REG(LIFCR) = ALL_FLAGS3;
}

static void on_sdio(void) {
    sdio_irqs++;
    REG(ICR) = DATAEND;
}

static void interrupts(void) {
    on_irq(STREAM3_IRQ, on_stream);
    on_irq(SDIO_IRQ, on_sdio);
    stream_on((uint32_t)buffer, false);
    REG(CR) |= TCIE;
    data(512, BYTES_512 | TO_HOST | DMAEN);
    REG(MASK) = DATAEND;
    command(17, 0, SHORT);
    while (!stream_irqs || !sdio_irqs) {
        wait_for_interrupt();
    }
    REG(MASK) = 0;
    EQUAL(stream_irqs, 1);
    EQUAL(sdio_irqs, 1);
    // A write with DTEN starts the data path again, as the HAL's interrupt handler does.
    REG(DCTRL) = BYTES_512 | TO_HOST | DTEN;
    EQUAL(REG(STA) >> 13 & 1, 1);
    REG(DCTRL) = 0;
    EQUAL(REG(STA) >> 13 & 1, 0);
}

static void forbidden(void) {
    switch (CASE) {
        case 1:
            REG(CMD) = 0 | CPSMEN;
            REG(CMD) = 8 | CPSMEN | SHORT;
            break;
        case 2:
            REG(CLKCR) = SLOW;
            command(0, 0, NONE);
            break;
        case 3:
            command(0, 0, NONE);
            break;
        case 4:
            wait_cycles(10000);
            command(0, 0, NONE);
            REG(CLKCR) = CLKEN;
            command(8, 0x1aa, SHORT);
            break;
        case 5:
            REG(FIFO);
            break;
        case 6:
            REG(POWER) = 1;
            break;
        case 7:
            identify();
            read_blocks((uint32_t)buffer + 8, 0, 1);
            read_blocks((uint32_t)buffer + 1020, 0, 1);
            break;
        case 8:
            stream_on((uint32_t)buffer, false);
            REG(M0AR) = 0x20000000;
            break;
        case 9:
            identify();
            read_blocks((uint32_t)buffer, 0, 1);
            REG(CR) |= EN;
            break;
        case 10:
            identify();
            command(32, 0, SHORT);
            break;
        case 11:
            REG(PAR) = FIFO;
            REG(FCR) = 7;
            REG(CR) = (STREAM & ~(1u << 5)) | EN;
            break;
        case 12:
            identify();
            change(GPIOC + MODER, 3u << 18, 0);
            card_state();
            break;
        case 13:
            identify();
            REG(CLKCR) = CLKEN | 1 << 10;
            card_state();
            break;
    }
}

void test(void) {
    controller_on();
    if (CASE) {
        forbidden();
        return;
    }
    identification();
    four_lines();
    errors();
    reads();
    one_line_is_not_four();
    writes();
    interrupts();
}
