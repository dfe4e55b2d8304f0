// SPDX-License-Identifier: MIT
//
// CAN1 and CAN2 on one bus: acknowledges, arbitration, filters of CAN2, one identifier at two
// stations, bus-off and the return by software.

#include "can.h"

enum { CAN2 = 0x400, CAN2_BIT = 1 << 26 };  // CAN2's registers are so much higher

static void initialize_second(uint32_t mode, uint32_t options) {
    REG(APB1ENR) |= CAN2_BIT;
    REG(APB1RSTR) |= CAN2_BIT;
    REG(APB1RSTR) &= ~CAN2_BIT;
    pin_function(GPIOB, 12, 9, false);
    pin_function(GPIOB, 13, 9, false);
    REG(CAN2 + MCR) = INRQ | options;
    wait_until(CAN2 + MSR, INAK | SLAK, INAK);
    REG(CAN2 + BTR) = mode | 2 << 20 | 11 << 16 | 1;
    REG(CAN2 + MCR) &= ~INRQ;
}

static void both(uint32_t options, uint32_t second_mode) {
    initialize(NORMAL, options);
    initialize_second(second_mode, options);
    filter(0, true, false, 0, standard(0x100), standard(0x700));
    filter(14, true, false, 1, 0, 0);  // all, for CAN2
    go();
    wait_until(CAN2 + MSR, INAK, 0);
}

static void request_second(uint32_t id, uint32_t low) {
    uint32_t box = CAN2 + TI0R;
    REG(box + 4) = 1;
    REG(box + 8) = low;
    REG(box) = id | 1;
}

static void frames_pass(void) {
    both(0, NORMAL);
    request(0, standard(0x123), 2, 0xbbaa);
    wait_until(TSR, RQCP, RQCP);
    EQUAL(REG(TSR) & 0xf, RQCP | TXOK);
    EQUAL(REG(CAN2 + RF1R), 1);
    EQUAL(REG(CAN2 + RI0R + 16), standard(0x123));
    EQUAL(REG(CAN2 + RI0R + 20), 2);
    EQUAL(REG(CAN2 + RI0R + 24), 0xbbaa);
    REG(CAN2 + RF1R) = RFOM;
    request_second(standard(0x1ff), 1);
    wait_until(CAN2 + TSR, RQCP, RQCP);
    EQUAL(REG(RF0R), 1);
    EQUAL(REG(RI0R), standard(0x1ff));
    REG(RF0R) = RFOM;
    request_second(standard(0x200), 1);  // the filter of CAN1 does not take it
    wait_until(CAN2 + TSR, RQCP, RQCP);
    EQUAL(REG(RF0R), 0);
    EQUAL(REG(ESR) | REG(CAN2 + ESR), 0);
}

// Both begin when the bus falls idle after another frame.
static void arbitrate(uint32_t options) {
    both(options, NORMAL);
    request(1, standard(0x000), 0, 0);
    wait_cycles(10 * BIT_CYCLES);
    request(0, standard(0x150), 1, 0);
    request_second(standard(0x14f), 0);
    wait_until(CAN2 + TSR, RQCP, RQCP);
    EQUAL(REG(CAN2 + TSR) & 0xf, RQCP | TXOK);
    if (options & NART) {
        EQUAL(REG(TSR) & 0xf, RQCP | ALST);
    } else {
        EQUAL(REG(TSR) & 0xf, ALST);
        wait_until(TSR, RQCP, RQCP);
        EQUAL(REG(TSR) & 0xf, RQCP | TXOK);
    }
    EQUAL(REG(ESR) | REG(CAN2 + ESR), 0);
}

static void silent(void) {
    both(NART, 1u << 31);
    request(0, standard(0x123), 0, 0);
    wait_until(TSR, RQCP, RQCP);
    EQUAL(REG(TSR) & 0xf, RQCP | TERR);
    EQUAL(REG(ESR) >> 4 & 7, 3);
    EQUAL(REG(CAN2 + RF1R), 0);
    request_second(standard(0x200), 1);
    wait_cycles(1000 * BIT_CYCLES);
    EQUAL(REG(CAN2 + TSR) & 0xf, 0);  // it sends nothing
}

// Different data under one identifier: an error each time, until both are off the bus.
static void one_identifier(void) {
    both(0, NORMAL);
    request(1, standard(0x000), 0, 0);
    wait_cycles(10 * BIT_CYCLES);
    request(0, standard(0x150), 1, 1);
    request_second(standard(0x150), 2);
    wait_until(ESR, BOFF, BOFF);
    EQUAL(REG(CAN2 + ESR) & 7, BOFF | EPVF | EWGF);
    wait_cycles(128 * 11 * BIT_CYCLES + 1000);
    EQUAL(REG(ESR) & BOFF, BOFF);  // without ABOM it stays off
    REG(CAN2 + TSR) = ABRQ;
    EQUAL(REG(CAN2 + TSR) & RQCP, RQCP);
    REG(MCR) |= INRQ;
    wait_until(MSR, INAK, INAK);
    EQUAL(REG(ESR) & BOFF, BOFF);
    REG(MCR) &= ~INRQ;
    wait_until(MSR, INAK, 0);
    uint32_t start = cycles(0);
    wait_until(ESR, BOFF, 0);
    uint32_t took = cycles(start);
    CHECK(took > 127 * 11 * BIT_CYCLES && took < 130 * 11 * BIT_CYCLES);
    EQUAL(REG(ESR) >> 16, 0);
    // CAN2 is off still: nobody acknowledges the frame that waited.
    wait_until(ESR, 7 << 4, 3 << 4);
    REG(CAN2 + MCR) |= INRQ;
    wait_until(CAN2 + MSR, INAK, INAK);
    REG(CAN2 + MCR) &= ~INRQ;
    wait_until(TSR, RQCP, RQCP);
    EQUAL(REG(TSR) & (RQCP | TXOK), RQCP | TXOK);
}

void test(void) {
    frames_pass();
    arbitrate(0);
    arbitrate(NART);
    silent();
    one_identifier();
}
