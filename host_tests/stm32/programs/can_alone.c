// SPDX-License-Identifier: MIT
//
// bxCAN without another station: its modes, filters, FIFOs and mailboxes in loop back, and what
// happens to a frame that nobody acknowledges. What the part refuses: CASE > 0.

#include "can.h"

#ifndef CASE
#define CASE 0
#endif

static void after_reset(void) {
    REG(APB1ENR) |= CAN1_BIT;
    EQUAL(REG(MCR), 0x10002);
    EQUAL(REG(MSR), 0xc02);
    EQUAL(REG(TSR), 0x1c000000);
    EQUAL(REG(BTR), 0x01230000);
    EQUAL(REG(FMR), 0x2a1c0e01);
    REG(MCR) = INRQ;
    EQUAL(REG(MSR) & (INAK | SLAK), SLAK);  // not at once
    wait_until(MSR, INAK | SLAK, INAK);
    REG(MCR) = SLEEP;
    wait_until(MSR, INAK | SLAK, SLAK);
}

static void send(uint32_t id) {
    request(0, id, 1, id >> 21);
    wait_until(TSR, RQCP, RQCP);
    EQUAL(REG(TSR) & 0xf, RQCP | TXOK);
    REG(TSR) = RQCP;
    EQUAL(REG(TSR), 0x1c000000);
}

// Where a frame arrives: FIFO and filter index; 0xff: nowhere.
static uint32_t arrives(uint32_t id) {
    send(id);
    for (unsigned fifo = 0; fifo < 2; fifo++) {
        if (REG(RF0R + 4 * fifo) & 3) {
            uint32_t box = RI0R + 16 * fifo;
            EQUAL(REG(box), id);
            EQUAL(REG(box + 4) & 15, 1);
            uint32_t index = REG(box + 4) >> 8;
            REG(RF0R + 4 * fifo) = RFOM;
            wait_until(RF0R + 4 * fifo, RFOM, 0);
            EQUAL(REG(RF0R + 4 * fifo), 0);
            return fifo << 4 | index;
        }
    }
    return 0xff;
}

static uint32_t half(uint32_t id) {
    return id << 5;
}

static void kinds_of_filters(void) {
    initialize(ISOLATED, 0);
    go();
    EQUAL(arrives(standard(0x123)), 0xff);
    // FIFO 0: bank 0 is filter 0; bank 2 filters 1 and 2; bank 3 filters 3 and 4.
    filter(0, true, false, 0, standard(0x700), standard(0x7f0) | 6);
    filter(2, false, false, 0, half(0x7f0) << 16 | half(0x100), half(0x7ff) << 16 | half(0x201));
    filter(3, true, true, 0, standard(0x555), extended(0x1234567));
    // FIFO 1: filters 0 to 3, and 4.
    filter(1, false, true, 1, half(0x301) << 16 | half(0x300), half(0x303) << 16 | half(0x302));
    filter(5, true, false, 1, extended(0x1000000), extended(0x1f000000));
    EQUAL(arrives(standard(0x705)), 0x00);
    EQUAL(arrives(standard(0x705) | 2), 0xff);  // the mask asks for RTR 0
    EQUAL(arrives(extended(0x705)), 0xff);
    EQUAL(arrives(standard(0x10f)), 0x01);
    EQUAL(arrives(standard(0x201)), 0x02);
    EQUAL(arrives(standard(0x202)), 0xff);
    EQUAL(arrives(standard(0x555)), 0x03);
    EQUAL(arrives(extended(0x1234567)), 0x04);  // a list goes before the mask of FIFO 1
    EQUAL(arrives(extended(0x1234568)), 0x14);
    EQUAL(arrives(standard(0x300)), 0x10);
    EQUAL(arrives(standard(0x301)), 0x11);
    EQUAL(arrives(standard(0x302)), 0x12);
    EQUAL(arrives(standard(0x303)), 0x13);
    // Of a narrow filter for all and a wide one the wide one takes the frame.
    filter(0, false, false, 0, 0, 0);
    filter(5, true, false, 1, standard(0x600), standard(0x7ff));
    EQUAL(arrives(standard(0x600)), 0x14);
    EQUAL(arrives(standard(0x601)), 0x00);
    // The banks of CAN2 take none of CAN1.
    REG(FMR) |= 1;
    REG(FMR) = (REG(FMR) & ~0x3f00u) | 5 << 8;
    REG(FMR) &= ~1u;
    EQUAL(arrives(standard(0x600)), 0x00);
    REG(FMR) |= 1;
    EQUAL(arrives(standard(0x601)), 0xff);  // no reception while filters are initialized
}

static void full_fifo(uint32_t options, uint32_t last) {
    initialize(ISOLATED, options);
    filter(0, true, false, 0, 0, 0);
    go();
    for (unsigned i = 0; i < 3; i++) {
        EQUAL(REG(RF0R), i);
        send(standard(0x100 + i));
    }
    EQUAL(REG(RF0R), 3 | FULL);
    send(standard(0x103));
    EQUAL(REG(RF0R), 3 | FULL | FOVR);
    REG(RF0R) = FULL;
    EQUAL(REG(RF0R), 3 | FOVR);
    EQUAL(REG(RI0R), standard(0x100));
    REG(RF0R) = RFOM;
    wait_until(RF0R, RFOM, 0);
    EQUAL(REG(RF0R), 2 | FOVR);
    EQUAL(REG(RI0R), standard(0x101));
    REG(RF0R) |= RFOM;  // writes 1 to the flag, too: it is cleared
    wait_until(RF0R, RFOM, 0);
    EQUAL(REG(RF0R), 1);
    EQUAL(REG(RI0R), standard(last));
    REG(RF0R) = RFOM;
    REG(RF0R) = RFOM;  // of an empty one: nothing
    EQUAL(REG(RF0R), 0);
}

static uint32_t next_id(void) {
    wait_until(RF0R, 3, 3);
    uint32_t id = REG(RI0R);
    REG(RF0R) = RFOM;
    return id;
}

static void order(uint32_t options, uint32_t first, uint32_t second, uint32_t third) {
    initialize(ISOLATED, options);
    filter(0, true, false, 0, 0, 0);
    request(0, standard(0x300), 0, 0);
    request(1, extended(0x100 << 18), 0, 0);
    request(2, standard(0x100), 0, 0);
    EQUAL(REG(TSR) & TME, 0);
    EQUAL(REG(TSR) >> 24 & 3, options ? 2 : 0);  // the one that goes last
    EQUAL(REG(TSR) >> 29, options ? 4 : 1);
    go();
    EQUAL(next_id(), first);
    EQUAL(REG(RI0R), second);
    REG(RF0R) = RFOM;
    EQUAL(REG(RI0R), third);
    EQUAL(REG(TSR), 0x1c030303);
    // A request clears the outcome of the last one.
    request(1, standard(1), 0, 0);
    EQUAL(REG(TSR) & 0xff00, 0);
    EQUAL(REG(TSR) & TME, 5 << 26);
}

static void aborts(void) {
    initialize(ISOLATED, 0);
    request(0, standard(0x100), 0, 0);
    REG(TSR) = ABRQ;
    EQUAL(REG(TSR), 0x1c000001);
    REG(TSR) = ABRQ;  // of an empty mailbox: nothing
    EQUAL(REG(TSR), 0x1c000001);
    request(0, standard(0x100), 0, 0);
    go();
    wait_cycles(10 * BIT_CYCLES);
    REG(TSR) = ABRQ;  // too late
    EQUAL(REG(TSR) & 0xff, ABRQ);
    wait_until(TSR, RQCP, RQCP);
    EQUAL(REG(TSR) & 0xff, RQCP | TXOK);
}

static volatile unsigned received, transmitted;

static void on_received(void) {
    received++;
    REG(RF0R) = RFOM;
}

static void on_transmitted(void) {
    transmitted++;
    REG(TSR) = RQCP;
}

static void interrupts(void) {
    initialize(ISOLATED, 0);
    filter(0, true, false, 0, 0, 0);
    go();
    on_irq(RX0_IRQ, on_received);
    on_irq(TX_IRQ, on_transmitted);
    REG(IER) = 3;
    request(0, standard(0x100), 0, 0);
    wait_cycles(100 * BIT_CYCLES);
    EQUAL(received, 1);
    EQUAL(transmitted, 1);
}

static volatile unsigned errors;

static void on_error(void) {
    errors++;
    EQUAL(REG(MSR) & ERRI, ERRI);
    REG(MSR) = ERRI;
}

// Nobody acknowledges: the counter goes up to passive, and not to bus-off.
static void alone(void) {
    initialize(NORMAL, 0);
    on_irq(SCE_IRQ, on_error);
    REG(IER) = 1 << 15 | 1 << 8 | 1 << 9 | 1 << 10;
    go();
    request(0, standard(0x123), 2, 0);
    wait_until(ESR, 7, EWGF);
    EQUAL(REG(ESR) >> 16, 96);
    EQUAL(REG(TSR) & 0xf, TERR);
    wait_until(ESR, 7, EWGF | EPVF);
    EQUAL(REG(ESR) >> 16, 128);
    EQUAL(REG(ESR) >> 4 & 7, 3);
    wait_cycles(10000 * BIT_CYCLES);
    EQUAL(REG(ESR) & 0xffffff, 128 << 16 | 3 << 4 | EWGF | EPVF);
    EQUAL(errors, 2);
    REG(TSR) = ABRQ;
    wait_until(TSR, RQCP, RQCP);
    EQUAL(REG(TSR) & 0xff, RQCP | TERR);
    REG(ESR) = 7 << 4;
    EQUAL(REG(ESR) >> 4 & 7, 7);
}

static void only_once(void) {
    initialize(NORMAL, NART);
    go();
    uint32_t start = cycles(0);
    request(0, standard(0x123), 2, 0);
    wait_until(TSR, RQCP, RQCP);
    CHECK(cycles(start) > 60 * BIT_CYCLES && cycles(start) < 80 * BIT_CYCLES);
    EQUAL(REG(TSR) & 0xf, RQCP | TERR);
    EQUAL(REG(ESR) >> 16, 8);
}

static void forbidden(void) {
    initialize(ISOLATED, 0);
    switch (CASE) {
        case 1:
            go();
            REG(BTR) = 0;
            break;
        case 2:
            REG(FMR) &= ~1u;
            REG(FM1R) = 1;
            break;
        case 3:
            request(0, 0, 0, 0);
            REG(TI0R + 8) = 1;
            break;
        case 4:
            REG16(IER) = 1;
            break;
        case 5:
            REG(MCR) |= 1 << 7;  // TTCM
            break;
        case 6:
            REG(BTR) = 1u << 30;
            REG(MCR) &= ~INRQ;
            wait_cycles(1000);
            break;
        case 7:
            REG(BTR) = 0x01230000;
            pin_open_drain(GPIOB, 8);
            REG(MCR) &= ~INRQ;
            wait_cycles(1000);
            break;
        case 8:
            REG(CAN + 0x20);
            break;
        case 9:
            filter(0, true, false, 0, 0, 0);
            REG(F0R1) = 1;
            break;
    }
}

void test(void) {
    if (CASE) {
        forbidden();
        return;
    }
    after_reset();
    kinds_of_filters();
    full_fifo(0, 0x103);
    full_fifo(RFLM, 0x102);
    order(0, standard(0x100), extended(0x100 << 18), standard(0x300));
    order(TXFP, standard(0x300), extended(0x100 << 18), standard(0x100));
    aborts();
    interrupts();
    alone();
    only_once();
}
