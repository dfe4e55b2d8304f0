// SPDX-License-Identifier: MIT
//
// The random number generator and a timer of the F405.

#include "bare.h"

enum { RCC = 0x40023800, RNG = 0x50060800, TIM2 = 0x40000000, TIM2_IRQ = 28 };
enum { CR1 = 0, DIER = 12, SR = 16, EGR = 20, CNT = 0x24, PSC = 0x28, ARR = 0x2c, CCR1 = 0x34 };

#ifndef CASE
#define CASE 0
#endif

static void random_numbers(void) {
    REG(RCC + 4) = 16 | 192 << 6 | 4 << 24;  // HSI: 192 MHz, 48 MHz
    REG(RCC) |= 1 << 24;
    wait_until(RCC, 1 << 25, 1 << 25);
    REG(RCC + 0x34) = 1 << 6;
    REG(RNG) = 4;
    if (CASE == 1) {  // none is ready
        (void)REG(RNG + 8);
    }
    wait_until(RNG + 4, 1, 1);
    uint32_t first = REG(RNG + 8);
    EQUAL(REG(RNG + 4), 0);
    wait_until(RNG + 4, 1, 1);
    CHECK(REG(RNG + 8) != first);
    REG(RNG) = 0;
}

static volatile unsigned updates, compares;

static void tick(void) {
    uint32_t status = REG(TIM2 + SR);
    REG(TIM2 + SR) = ~status;
    updates += status & 1;
    compares += status >> 1 & 1;
}

static void timer(void) {
    REG(RCC + 0x40) |= 1;
    REG(TIM2 + PSC) = 15;  // 1 MHz
    REG(TIM2 + ARR) = 999;
    REG(TIM2 + CCR1) = 400;
    REG(TIM2 + EGR) = 1;
    EQUAL(REG(TIM2 + SR) & 1, 1);
    REG(TIM2 + SR) = 0;
    REG(TIM2 + DIER) = 3;
    on_irq(TIM2_IRQ, tick);
    REG(TIM2 + CR1) = 1;
    for (unsigned i = 1; i <= 3; i++) {
        wait_for_interrupt();
        EQUAL(compares, i);
        CHECK(REG(TIM2 + CNT) - 400 < 20);
        wait_for_interrupt();
        EQUAL(updates, i);
        CHECK(REG(TIM2 + CNT) < 20);
    }
    REG(TIM2 + CR1) = 0;
    if (CASE == 2) {  // an external clock is not modelled
        REG(TIM2 + 8) = 7;
    }
}

void test(void) {
    random_numbers();
    timer();
}
