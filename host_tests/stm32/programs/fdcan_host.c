// SPDX-License-Identifier: MIT
//
// FDCAN of the G474 with a host on the bus: both directions, bus-off and the way back, which only
// software begins.

#include "fdcan.h"

void test(void) {
    configure(0, 0);
    REG(RXGFC) = 0;
    go();
    // The host answers what it gets.
    send_one(standard(0x123), length(2), 0x2211, 0);
    wait_until(TXBTO, 1, 1);
    EQUAL(REG(ECR), 0);
    EQUAL(REG(PSR) & 7, 0);
    wait_until(RXF0S, 15, 1);
    EQUAL(REG(FIFO0), standard(0x321));
    EQUAL(REG(FIFO0 + 4) & 0x803f0000, 0x80000000 | length(3));
    EQUAL(REG(FIFO0 + 8) & 0xffffff, 0x332211);
    REG(RXF0A) = 0;
    wait_until(RXF0S, 15, 1);
    EQUAL(REG(FIFO0 + ELEMENT), extended(0x1234567));
    EQUAL(REG(FIFO0 + ELEMENT + 4) >> 16 & 15, 15);  // a length code of 15
    REG(RXF0A) = 1;
    // Soon the host destroys all frames for 20 ms.
    wait_cycles(3 * 16000);
    send_one(standard(0x124), length(0), 0, 0);
    wait_until(CCCR, INIT, INIT);
    EQUAL(REG(PSR) & (BO | EP | EW), BO | EP | EW);
    EQUAL(REG(IR) & BO_CHANGED, BO_CHANGED);
    // It stays off the bus, however long, and keeps what it was to send.
    wait_cycles(40 * 16000);
    EQUAL(REG(CCCR) & INIT, INIT);
    EQUAL(REG(PSR) & BO, BO);
    EQUAL(REG(TXBRP), 2);
    uint32_t start = cycles(0);
    go();
    wait_until(PSR, BO, 0);
    CHECK(cycles(start) > 128 * 11 * BIT_CYCLES && cycles(start) < 140 * 11 * BIT_CYCLES);
    wait_until(TXBTO, 2, 2);
    EQUAL(REG(ECR) & 0xffff, 0);
}
