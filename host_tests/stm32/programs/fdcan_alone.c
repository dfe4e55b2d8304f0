// SPDX-License-Identifier: MIT
//
// FDCAN without another station: configuration, filters, FIFOs and buffers in internal loop back,
// and what happens to a frame that nobody acknowledges. What the part refuses: CASE > 0.

#include "fdcan.h"

#ifndef CASE
#define CASE 0
#endif

static void after_reset(void) {
    REG(APB1ENR1) |= CAN_CLOCK;
    EQUAL(REG(CCCR), INIT);
    EQUAL(REG(NBTP), 0x06000a03);
    EQUAL(REG(PSR), 0x707);
    EQUAL(REG(TXFQS), 3);
    EQUAL(REG(XIDAM), 0x1fffffff);
}

static void send_and_wait(uint32_t id, uint32_t second) {
    unsigned put = send_one(id, second, 0x44332211, 0x88776655);
    EQUAL(REG(TXBRP), 1u << put);
    EQUAL(REG(TXBTO) >> put & 1, 0);
    wait_until(TXBTO, 1u << put, 1u << put);
    EQUAL(REG(TXBRP), 0);
}

// Where a frame arrives: FIFO and filter index, 0x80: by no filter; 0xff: nowhere.
static uint32_t arrives(uint32_t id) {
    send_and_wait(id, length(1));
    for (unsigned fifo = 0; fifo < 2; fifo++) {
        uint32_t state = REG(RXF0S + 8 * fifo);
        if (state & 15) {
            uint32_t at = (fifo ? FIFO1 : FIFO0) + ELEMENT * (state >> 8 & 3);
            EQUAL(REG(at), id);
            EQUAL(REG(at + 4) >> 16 & 15, 1);
            EQUAL(REG8(at + 8), 0x11);
            uint32_t index = REG(at + 4) >> 24;
            REG(RXF0A + 8 * fifo) = state >> 8 & 3;
            EQUAL(REG(RXF0S + 8 * fifo) & 15, 0);
            return fifo << 4 | index;
        }
    }
    return 0xff;
}

static void filters(void) {
    configure(ISOLATED, 0);
    REG(RXGFC) = REJECT_OTHERS | 6 << 16 | 3 << 24;
    REG(STANDARD + 0) = 2u << 30 | 1 << 27 | 0x100 << 16 | 0x7f0;  // mask to FIFO 0
    REG(STANDARD + 4) = 1u << 30 | 2 << 27 | 0x200 << 16 | 0x201;  // two to FIFO 1
    REG(STANDARD + 8) = 0u << 30 | 3 << 27 | 0x300 << 16 | 0x30f;  // range rejected
    REG(STANDARD + 12) = 0u << 30 | 1 << 27 | 0x300 << 16 | 0x31f;  // of which the rest goes to 0
    REG(STANDARD + 16) = 3u << 30 | 1 << 27 | 0x7ff;                // off
    REG(STANDARD + 20) = 1u << 30 | 5 << 27 | 0x400 << 16 | 0x400;  // priority, FIFO 0
    REG(EXTENDED + 0) = 1u << 29 | 0x1000000;
    REG(EXTENDED + 4) = 2u << 30 | 0x1f000000;  // mask to FIFO 0
    REG(EXTENDED + 8) = 2u << 29 | 0x100;
    REG(EXTENDED + 12) = 0u << 30 | 0x1ff;  // a range behind XIDAM, to FIFO 1
    REG(EXTENDED + 16) = 2u << 29 | 0x10000200;
    REG(EXTENDED + 20) = 3u << 30 | 0x10000200;  // a range without XIDAM
    REG(XIDAM) = 0x0fffffff;
    go();
    EQUAL(arrives(standard(0x105)), 0x00);
    EQUAL(arrives(standard(0x115)), 0xff);
    EQUAL(arrives(standard(0x200)), 0x11);
    EQUAL(arrives(standard(0x201)), 0x11);
    EQUAL(arrives(standard(0x202)), 0xff);
    EQUAL(arrives(standard(0x30f)), 0xff);
    EQUAL(arrives(standard(0x310)), 0x03);
    EQUAL(arrives(standard(0x7ff)), 0xff);
    EQUAL(REG(IR) >> 6 & 1, 0);
    EQUAL(arrives(standard(0x400)), 0x05);
    EQUAL(REG(IR) >> 6 & 1, 1);
    EQUAL(REG(HPMS) & 0xffc0, 2 << 6 | 5 << 8);
    EQUAL(arrives(extended(0x1abcdef)), 0x00);
    EQUAL(arrives(extended(0x11abcdef)), 0x00);  // XIDAM takes a bit of it away
    EQUAL(arrives(extended(0x2abcdef)), 0xff);
    EQUAL(arrives(extended(0x10000123)), 0x11);
    EQUAL(arrives(extended(0x00000123)), 0x11);
    EQUAL(arrives(extended(0x10000200)), 0x12);
    EQUAL(arrives(extended(0x00000200)), 0xff);
}

static void others(void) {
    configure(ISOLATED, 0);
    REG(RXGFC) = 0 << 4 | 1 << 2 | 2;  // standard to FIFO 0, extended to FIFO 1, no remote ones
    go();
    EQUAL(arrives(standard(0x123)), 0x80);
    EQUAL(arrives(extended(0x123)), 0x90);
    send_and_wait(standard(0x123) | 1 << 29, length(0));
    EQUAL(REG(RXF0S) & 15, 0);
}

static void full_fifo(bool overwrites) {
    configure(ISOLATED, 0);
    REG(RXGFC) = overwrites ? 1 << 9 : 0;
    go();
    for (unsigned i = 0; i < 3; i++) {
        EQUAL(REG(RXF0S) & 15, i);
        send_and_wait(standard(0x100 + i), length(0));
    }
    EQUAL(REG(RXF0S), 1 << 24 | 3);
    EQUAL(REG(IR) & 7, RF0N | RF0F);
    REG(IR) = RF0N | RF0F;
    send_and_wait(standard(0x103), length(0));
    if (overwrites) {
        EQUAL(REG(IR) & 7, RF0N | RF0F);
        EQUAL(REG(RXF0S), 1 << 24 | 1 << 16 | 1 << 8 | 3);
        EQUAL(REG(FIFO0), standard(0x103));
        return;
    }
    EQUAL(REG(IR) & 7, RF0L);
    EQUAL(REG(RXF0S), 1 << 25 | 1 << 24 | 3);
    REG(IR) = RF0L;
    EQUAL(REG(RXF0S), 1 << 24 | 3);
    EQUAL(REG(FIFO0), standard(0x100));
    REG(RXF0A) = 1;  // the first two at once
    EQUAL(REG(RXF0S), 2 << 8 | 1);
}

// A classic frame with a length code above 8 has 8 bytes, and keeps its code.
static void long_code(void) {
    configure(ISOLATED, 0);
    REG(RXGFC) = 0;
    go();
    REG(FIFO0 + 16) = 0x5a5a5a5a;
    send_and_wait(standard(0x100), length(15));
    EQUAL(REG(FIFO0 + 4) >> 16 & 15, 15);
    EQUAL(REG(FIFO0 + 8), 0x44332211);
    EQUAL(REG(FIFO0 + 12), 0x88776655);
    EQUAL(REG(FIFO0 + 16), 0x5a5a5a5a);
}

static void order_and_events(void) {
    configure(ISOLATED, 0);
    REG(RXGFC) = 0;
    REG(TSCC) = 1;
    REG(TXBTIE) = 2;
    go();
    send_one(standard(0x300), length(0) | 1 << 23 | 0xab << 24, 0, 0);
    send_one(standard(0x100), length(0), 0, 0);
    send_one(standard(0x200), length(0), 0, 0);
    EQUAL(REG(TXFQS), 1 << 21);
    REG(TXBCR) = 4;
    EQUAL(REG(TXBCF), 4);
    EQUAL(REG(TXBRP), 3);
    wait_until(TXBRP, 7, 0);
    EQUAL(REG(TXBTO), 3);
    EQUAL(REG(TXFQS), 3);
    EQUAL(REG(FIFO0), standard(0x300));
    EQUAL(REG(FIFO0 + ELEMENT), standard(0x100));
    EQUAL(REG(RXF0S) & 15, 2);
    EQUAL(REG(IR) & (TC | TFE), TC | TFE);
    EQUAL(REG(TXEFS), 1 << 16 | 1);
    EQUAL(REG(EVENTS), standard(0x300));
    EQUAL(REG(EVENTS + 4) >> 22, 0xab << 2 | 1);
    uint32_t stamp = REG(FIFO0 + 4) & 0xffff, later = REG(FIFO0 + ELEMENT + 4) & 0xffff;
    CHECK(stamp >= 46 && stamp < 60);
    CHECK(later - stamp >= 46 && later - stamp < 60);
    REG(TXEFA) = 0;
    EQUAL(REG(TXEFS), 1 << 16 | 1 << 8);
    // A new request forgets how the last one ended.
    EQUAL(send_one(standard(1), length(0), 0, 0), 0);
    EQUAL(REG(TXBTO), 2);
}

static volatile unsigned first, second;

static void on_first(void) {
    first++;
    REG(IR) = RF0N;
}

static void on_second(void) {
    second++;
    REG(IR) = TC;
}

static void lines(void) {
    configure(ISOLATED, 0);
    REG(RXGFC) = 0;
    REG(TXBTIE) = 7;
    REG(IE) = RF0N | TC;
    REG(ILS) = 4;  // TC, TCF and HPM
    REG(ILE) = 1;
    go();
    on_irq(IRQ0, on_first);
    on_irq(IRQ1, on_second);
    send_and_wait(standard(1), length(0));
    wait_cycles(10);
    EQUAL(first, 1);
    EQUAL(second, 0);
    REG(ILE) = 3;
    wait_cycles(10);
    EQUAL(second, 1);
}

// Nobody acknowledges: the counter goes up to passive, and not to bus-off.
static void alone(void) {
    configure(0, 0);
    go();
    EQUAL(REG(PSR) >> 3 & 3, 0);
    wait_cycles(12 * BIT_CYCLES);
    EQUAL(REG(PSR) >> 3 & 3, 1);
    send_one(standard(0x123), length(2), 0, 0);
    wait_until(PSR, EW, EW);
    wait_until(PSR, EP, EP);
    EQUAL(REG(ECR) & 0xff, 128);
    EQUAL(REG(IR) >> 17 & 7, 3);
    wait_cycles(3000 * BIT_CYCLES);
    EQUAL(REG(ECR) & 0xff, 128);
    EQUAL(REG(PSR) & (7 | EP | EW | BO), 3 | EP | EW);
    EQUAL(REG(PSR) & 7, 7);  // reading it has set this
    REG(TXBCR) = 1;
    wait_until(TXBCF, 1, 1);
    EQUAL(REG(TXBTO), 0);
}

static void only_once(void) {
    configure(0, DAR);
    go();
    send_one(standard(0x123), length(2), 0, 0);
    wait_until(TXBCF, 1, 1);
    EQUAL(REG(TXBTO), 0);
    EQUAL(REG(ECR) & 0xffff, 8);
}

static void stopped_clock(void) {
    configure(ISOLATED, 0);
    go();
    REG(CCCR) |= CSR;
    wait_until(CCCR, CSA, CSA);
    EQUAL(REG(CCCR) & INIT, INIT);
    REG(CCCR) &= ~CSR;
    EQUAL(REG(CCCR) & (CSA | CCE | INIT), INIT);
}

static void forbidden(void) {
    configure(ISOLATED, 0);
    switch (CASE) {
        case 1:
            go();
            REG(NBTP) = 0x06000a03;
            break;
        case 2:
            go();
            REG(CCCR) |= CCE;
            break;
        case 3:
            go();
            REG(CCCR) |= FDOE;
            break;
        case 4:
            REG8(STANDARD) = 1;
            break;
        case 5:
            go();
            REG(RXF0A) = 0;
            break;
        case 6:
            go();
            REG(TXBAR) = 2;
            break;
        case 7:
            REG(CAN + 0x28) = 1;  // TOCC
            break;
        case 8:
            REG(CCCR) &= ~(TESTING | MON);
            change(GPIOA + MODER, 3 << 22, 0);
            go();
            break;
        case 9:
            REG(CCCR) &= ~MON;
            go();
            break;
        case 10:
            REG(CAN + 0x60);
            break;
        case 11:
            REG(TXBAR) = 1;
            break;
        case 12:
            REG(RAM + 3 * 0x350);
            break;
        case 13:
            REG(APB1ENR1) &= ~CAN_CLOCK;
            REG(CCCR);
            break;
    }
}

void test(void) {
    if (CASE) {
        forbidden();
        return;
    }
    after_reset();
    filters();
    others();
    full_fifo(false);
    full_fifo(true);
    long_code();
    order_and_events();
    lines();
    alone();
    only_once();
    stopped_clock();
}
