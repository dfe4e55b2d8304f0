// SPDX-License-Identifier: MIT
//
// GPIO and EXTI of the F4: levels, pulls, open drain, edges.

#include "bare.h"

enum { RCC_AHB1ENR = 0x40023830, RCC_APB2ENR = 0x40023844, GPIOC = 0x40020800 };
enum { MODER = 0, OTYPER = 4, PUPDR = 12, IDR = 16, ODR = 20, BSRR = 24 };
enum { EXTI = 0x40013c00, IMR = EXTI, RTSR = EXTI + 8, FTSR = EXTI + 12, PR = EXTI + 20 };
enum { EXTICR1 = 0x40013808, SWIER = EXTI + 16 };

static volatile unsigned edges;

static void edge(void) {
    EQUAL(REG(PR), 2);
    REG(PR) = 2;
    edges++;
}

void test(void) {
    REG(RCC_AHB1ENR) |= 4;
    REG(RCC_APB2ENR) |= 1 << 14;
    EQUAL(REG(GPIOC + IDR), 0);
    REG(GPIOC + PUPDR) = 1 << 2;  // PC1 pulled up
    EQUAL(REG(GPIOC + IDR), 2);
    REG(EXTICR1) = 2 << 4;
    REG(IMR) = 2;
    REG(FTSR) = 2;
    on_irq(7, edge);
    REG(GPIOC + OTYPER) = 2;
    REG(GPIOC + MODER) = 1 << 2;  // an output, open drain, low: a falling edge
    __asm__ volatile("dsb\nisb");
    EQUAL(edges, 1);
    EQUAL(REG(GPIOC + IDR), 0);
    REG(GPIOC + BSRR) = 2;  // released: the pull raises it, which is not enabled
    EQUAL(REG(GPIOC + IDR), 2);
    REG(GPIOC + BSRR) = 0x20000;
    __asm__ volatile("dsb\nisb");
    EQUAL(edges, 2);
    REG(SWIER) = 2;
    __asm__ volatile("dsb\nisb");
    EQUAL(edges, 3);
    REG(RTSR) = 2;
    REG(GPIOC + ODR) = 2;
    __asm__ volatile("dsb\nisb");
    EQUAL(edges, 4);
#ifdef FIGHT
    // A push-pull output against the host, which holds the pin low.
    REG(GPIOC + OTYPER) = 0;
    REG(GPIOC + ODR) = 0;
    say("ready\n");
    delay(100000);
    REG(GPIOC + ODR) = 2;
#endif
}
