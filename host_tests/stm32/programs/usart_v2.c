// SPDX-License-Identifier: MIT
//
// USART1 of the G474 with a host at its line: flags, overrun, idle, FIFOs, the times of frames.
// What the part refuses: CASE > 0.

#include "g4.h"

#ifndef CASE
#define CASE 0
#endif

enum {
    USART = 0x40013800, CR1 = USART, BRR = USART + 0x0c, ISR = USART + 0x1c, ICR = USART + 0x20,
    RDR = USART + 0x24, TDR = USART + 0x28, USART1_CLOCK = 1 << 14, IRQ = 37,
};
enum { UE = 1, RE = 4, TE = 8, IDLEIE = 16, RXNEIE = 32, FIFOEN = 1 << 29 };
enum { ORE = 8, IDLE = 16, RXNE = 32, TC = 64, TXE = 128, TXFE = 1 << 23, RXFF = 1 << 24 };

static volatile unsigned interrupts;

static void on_byte(void) {
    interrupts++;
    REG(ICR) = IDLE;
    if (REG(ISR) & RXNE) {
        REG(TDR) = REG(RDR) ^ 0x20;
    }
}

static void initialize(uint32_t control) {
    REG(AHB2ENR) |= 4;
    REG(APB2ENR) |= USART1_CLOCK;
    pin_function(GPIOC, 4, 7, false);
    pin_function(GPIOC, 5, 7, false);
    REG(CR1) = 0;
    REG(BRR) = 139;  // 115,200 bit/s of 16 MHz
    REG(CR1) = control | UE | RE | TE;
}

static void put(uint32_t byte) {
    wait_until(ISR, TXE, TXE);
    REG(TDR) = byte;
}

static void forbidden(void) {
    initialize(0);
    switch (CASE) {
        case 1:
            REG(BRR) = 16;
            break;
        case 2:
            put('a');
            put('b');
            REG(TDR) = 'c';
            break;
        case 3:
            REG(CR1) = UE | RE;
            REG(TDR) = 'a';
            break;
        case 4:
            REG(USART + 0x08) = 1 << 6;  // DMAR
            break;
    }
}

void test(void) {
    if (CASE) {
        forbidden();
        return;
    }
    initialize(0);
    EQUAL(REG(ISR) & (TXE | TC | RXNE), TXE | TC);
    uint32_t start = cycles(0);
    put('1');
    EQUAL(REG(ISR) & TC, 0);
    put('2');
    EQUAL(REG(ISR) & TXE, 0);
    wait_until(ISR, TC, TC);
    uint32_t took = cycles(start);
    CHECK(took > 2 * 1390 - 20 && took < 2 * 1390 + 100);
    // The host sends three: one is taken, the second waits, the third is lost.
    wait_until(ISR, RXNE, RXNE);
    EQUAL(REG(RDR), 'a');
    wait_until(ISR, ORE, ORE);
    EQUAL(REG(RDR), 'b');
    EQUAL(REG(ISR) & (RXNE | ORE), ORE);
    REG(ICR) = ORE;
    EQUAL(REG(ISR) & ORE, 0);
    wait_until(ISR, IDLE, IDLE);
    REG(ICR) = IDLE;
    initialize(FIFOEN);
    EQUAL(REG(ISR) & (TXE | TXFE), TXE | TXFE);
    put('3');
    wait_until(ISR, RXFF, RXFF);
    wait_until(ISR, ORE, ORE);
    for (uint32_t byte = 'a'; byte < 'a' + 8; byte++) {
        EQUAL(REG(RDR), byte);
    }
    EQUAL(REG(ISR) & RXNE, 0);
    wait_until(ISR, IDLE, IDLE);
    initialize(RXNEIE | IDLEIE);
    on_irq(IRQ, on_byte);
    put('4');
    wait_cycles(20 * 1390);
    EQUAL(interrupts, 3);  // two bytes, and idle
}
