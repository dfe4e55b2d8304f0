// SPDX-License-Identifier: MIT
//
// FDCAN1 of the H743 with sections of the message RAM as they are configured: in internal loop
// back, or, with CASE 20, with a host on the bus. What the part refuses: CASE 1 to 19.

#include "h7.h"

#ifndef CASE
#define CASE 0
#endif

enum {
    CAN = 0x4000a000, TEST = CAN + 0x10, CCCR = CAN + 0x18, NBTP = CAN + 0x1c, ECR = CAN + 0x40,
    PSR = CAN + 0x44, IR = CAN + 0x50, GFC = CAN + 0x80, SIDFC = CAN + 0x84, XIDFC = CAN + 0x88,
    RXF0C = CAN + 0xa0, RXF0S = CAN + 0xa4, RXF0A = CAN + 0xa8, RXF1C = CAN + 0xb0,
    RXF1S = CAN + 0xb4, RXF1A = CAN + 0xb8, RXESC = CAN + 0xbc, TXBC = CAN + 0xc0,
    TXFQS = CAN + 0xc4, TXESC = CAN + 0xc8, TXBRP = CAN + 0xcc, TXBAR = CAN + 0xd0,
    TXBTO = CAN + 0xd8, TXEFC = CAN + 0xf0, TXEFS = CAN + 0xf4, TXEFA = CAN + 0xf8,
};
enum { INIT = 1, CCE = 2, MON = 32, TESTING = 128, LBCK = 16 };
enum { RF0N = 1, RF0W = 2, RF0F = 4, RF0L = 8, RF1N = 16, TEFN = 1 << 12 };
enum { BO = 1 << 7, EVENT_WANTED = 1 << 23, CAN_CLOCK = 1 << 8, REJECT_OTHERS = 0x3c };

// Words of the message RAM: a filter of each kind, FIFO 0 of 3 elements with 8 bytes, FIFO 1 of 2
// with 64, 4 events, 3 buffers with 8 bytes.
enum { RAM = 0x4000ac00, STANDARD = 10, EXTENDED = 20, FIFO0 = 100, FIFO1 = 200, EVENTS = 300 };
enum { BUFFERS = 2560 - 12, SHORT = 4, LONG = 18 };

static uint32_t word(uint32_t at) {
    return RAM + 4 * at;
}

static void configure(uint32_t mode) {
    REG(RCC_CR) |= HSEON;
    wait_until(RCC_CR, HSERDY, HSERDY);
    REG(AHB4ENR) |= 8;
    REG(APB1HENR) |= CAN_CLOCK;
    pin_function(GPIOD, 0, 9, false);
    pin_function(GPIOD, 1, 9, false);
    EQUAL(REG(CCCR), INIT);
    REG(CCCR) |= CCE;
    REG(CCCR) |= mode;
    if (mode & TESTING) {
        REG(TEST) = LBCK;
    }
    REG(NBTP) = 11 << 8 | 2;  // 8 MHz / (1 + 12 + 3)
    REG(GFC) = REJECT_OTHERS;
    REG(SIDFC) = 1 << 16 | STANDARD << 2;
    REG(XIDFC) = 1 << 16 | EXTENDED << 2;
    REG(RXESC) = 7 << 4;
    REG(RXF0C) = 2 << 24 | 3 << 16 | FIFO0 << 2;
    REG(RXF1C) = 2 << 16 | FIFO1 << 2;
    REG(TXEFC) = 4 << 16 | EVENTS << 2;
    REG(TXBC) = 3 << 24 | BUFFERS << 2;
    REG(TXESC) = 0;
    REG(word(STANDARD)) = 2u << 30 | 1 << 27 | 0x100 << 16 | 0x7f0;  // mask to FIFO 0
    REG(word(EXTENDED)) = 2u << 29 | 0x1000;                         // two to FIFO 1
    REG(word(EXTENDED + 1)) = 1u << 30 | 0x1001;
}

static void go(void) {
    REG(CCCR) &= ~INIT;
    wait_until(CCCR, INIT, 0);
}

static void send(uint32_t id, uint32_t second) {
    unsigned put = REG(TXFQS) >> 16 & 31;
    uint32_t at = word(BUFFERS + SHORT * put);
    REG(at) = id;
    REG(at + 4) = second;
    REG(at + 8) = 0x44332211;
    REG(at + 12) = 0x88776655;
    REG(TXBAR) = 1u << put;
    wait_until(TXBTO, 1u << put, 1u << put);
}

static void forbidden(void) {
    configure(TESTING | MON);
    switch (CASE) {
        case 1:
            go();
            REG(RXF0C) = 0;
            break;
        case 2:  // an element behind the end of the RAM
            REG(TXBC) = 3 << 24 | (BUFFERS + 1) << 2;
            go();
            send(0x100 << 18, 0);
            send(0x100 << 18, 0);
            send(0x100 << 18, 0);
            break;
        case 3:  // of three buffers
            go();
            REG(TXBAR) = 8;
            break;
        case 4:  // dedicated buffers beside a FIFO
            REG(TXBC) = 2 << 24 | 1 << 16;
            break;
        case 5:
            go();
            REG(RXF0A) = 0;
            break;
        case 6:  // bytes
            REG8(word(FIFO0)) = 1;
            break;
        case 7:  // TTCAN
            REG(CAN + 0x108) = 1;
            break;
        case 8:
            REG(word(2560)) = 1;
            break;
    }
}

// Three buffers are requested at once: the lowest identifier leaves first.
static void dedicated_buffers(void) {
    REG(CCCR) |= INIT;
    wait_until(CCCR, INIT, INIT);
    REG(CCCR) |= CCE;
    REG(TXBC) = 3 << 16 | BUFFERS << 2;
    go();
    static const uint32_t ids[] = {0x10c, 0x10a, 0x10b};
    for (unsigned i = 0; i < 3; i++) {
        REG(word(BUFFERS + SHORT * i)) = ids[i] << 18;
        REG(word(BUFFERS + SHORT * i) + 4) = 0;
    }
    REG(TXBAR) = 7;
    wait_until(TXBTO, 7, 7);
    EQUAL(REG(TXBRP), 0);
    for (unsigned i = 0; i < 3; i++) {
        EQUAL(REG(word(FIFO0 + SHORT * i)), (0x10a + i) << 18);
    }
}

static void loop_back(void) {
    configure(TESTING | MON);
    go();
    EQUAL(REG(TXFQS), 3);
    send(0x105 << 18, 3 << 16 | EVENT_WANTED | 0xabu << 24);
    EQUAL(REG(IR) & (RF0N | RF0W | TEFN), RF0N | TEFN);
    EQUAL(REG(RXF0S), 1 << 16 | 1);
    EQUAL(REG(word(FIFO0)), 0x105 << 18);
    EQUAL(REG(word(FIFO0) + 4) & 0xff0f0000, 3 << 16);
    EQUAL(REG(word(FIFO0) + 8) & 0xffffff, 0x332211);
    EQUAL(REG(TXEFS), 1 << 16 | 1);
    EQUAL(REG(word(EVENTS) + 4) >> 24, 0xab);
    REG(TXEFA) = 0;
    EQUAL(REG(TXEFS) & 63, 0);
    // A frame that no filter takes; then the FIFO fills up: watermark, full, and one is lost.
    send(0x205 << 18, 0);
    EQUAL(REG(RXF0S) & 127, 1);
    send(0x106 << 18, 8 << 16);
    EQUAL(REG(IR) & (RF0W | RF0F), RF0W);
    EQUAL(REG(word(FIFO0 + SHORT) + 12), 0x88776655);
    send(0x107 << 18, 0);
    EQUAL(REG(IR) & (RF0F | RF0L), RF0F);
    EQUAL(REG(RXF0S), 1 << 24 | 3);
    send(0x108 << 18, 0);
    EQUAL(REG(IR) & RF0L, RF0L);
    REG(RXF0A) = 1;
    EQUAL(REG(RXF0S) & 0x3f7f, 2 << 8 | 1);
    // Elements of the other FIFO have room for 64 bytes.
    EQUAL(REG(IR) & RF1N, 0);
    send(1u << 30 | 0x1000, 0);
    send(1u << 30 | 0x1001, 1 << 16);
    EQUAL(REG(RXF1S) & 127, 2);
    EQUAL(REG(word(FIFO1 + LONG)), 1u << 30 | 0x1001);
    EQUAL(REG8(word(FIFO1 + LONG) + 8), 0x11);
    REG(RXF1A) = 1;
    dedicated_buffers();
}

static void on_the_bus(void) {
    configure(0);
    go();
    send(0x123 << 18, 2 << 16);
    EQUAL(REG(ECR), 0);
    wait_until(RXF0S, 127, 1);
    EQUAL(REG(word(FIFO0)), 0x101 << 18);
    // Soon the host destroys all frames for 20 ms: what waits is sent after the way back.
    wait_cycles(3 * 64000);
    unsigned put = REG(TXFQS) >> 16 & 31;
    REG(word(BUFFERS + SHORT * put)) = 0x124 << 18;
    REG(word(BUFFERS + SHORT * put) + 4) = 0;
    REG(TXBAR) = 1u << put;
    wait_until(CCCR, INIT, INIT);
    EQUAL(REG(PSR) & BO, BO);
    wait_cycles(30 * 64000);
    EQUAL(REG(TXBRP), 1u << put);
    go();
    wait_until(TXBTO, 1u << put, 1u << put);
}

void test(void) {
    if (CASE == 20) {
        on_the_bus();
    } else if (CASE) {
        forbidden();
    } else {
        loop_back();
    }
}
