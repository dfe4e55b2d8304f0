// SPDX-License-Identifier: MIT
//
// Clocks and the backup domain of the G474: HSE, PLL, what resets TAMP's registers. What the part
// refuses: CASE > 0.

#include "g4.h"

#ifndef CASE
#define CASE 0
#endif

enum { BKP0R = 0x40002500, RTCSEL_LSE = 1 << 8, RTCSEL_LSI = 2 << 8, BDRST = 1 << 16 };
enum { NO_BOOST = 1 << 8, SW_PLL = 3, SWS = 3 << 2, SWS_PLL = 3 << 2 };

static void open_domain(void) {
    REG(APB1ENR1) |= PWR_CLOCK;
    REG(PWR_CR1) |= DBP;
}

static void pll(void) {
    REG(FLASH_ACR) = (REG(FLASH_ACR) & ~15u) | 4;
    REG(RCC_CR) |= HSEON;
    wait_until(RCC_CR, HSERDY, HSERDY);
    REG(PLLCFGR) = 1 << 24 | 85 << 8 | 5 << 4 | 3;  // 24 MHz / 6 * 85 / 2
    REG(RCC_CR) |= PLLON;
    EQUAL(REG(RCC_CR) & PLLRDY, 0);
    wait_until(RCC_CR, PLLRDY, PLLRDY);
    REG(RCC_CFGR) = SW_PLL;
    EQUAL(REG(RCC_CFGR) & SWS, SWS_PLL);
}

static void fast(void) {
    REG(PWR_CR5) = 0;
    pll();
}

static void forbidden(void) {
    if (CASE == 7) {
        REG(PWR_CR1) = DBP;
    }
    open_domain();
    switch (CASE) {
        case 1:
            REG(PWR_CR1) &= ~DBP;
            REG(BKP0R) = 1;
            break;
        case 2:
            REG(BDCR) = RTCSEL_LSE;
            REG(BDCR) = RTCSEL_LSI;
            break;
        case 3:
            REG(RCC_CFGR) = SW_PLL;
            break;
        case 4:
            fast();
            REG(FLASH_ACR) &= ~15u;
            break;
        case 5:
            fast();
            REG(PLLCFGR) = 0;
            break;
        case 6:
            fast();
            REG(RCC_CR) &= ~HSEON;
            break;
        case 8:
            REG(PWR_CR5) = NO_BOOST;
            pll();
            break;
    }
}

void test(void) {
    if (CASE) {
        forbidden();
        return;
    }
    open_domain();
    EQUAL(REG(PWR_CR1), 0x200 | DBP);
    REG(BDCR) = RTCSEL_LSE;
    REG(BKP0R) = 0x1234;
    EQUAL(REG(BKP0R), 0x1234);
    REG(BDCR) |= BDRST;
    EQUAL(REG(BKP0R), 0);
    REG(BDCR) = 0;
    REG(BDCR) = RTCSEL_LSI;
    EQUAL(REG(BDCR), RTCSEL_LSI);
    EQUAL(REG(RCC_CSR) >> 24, 0x0c);  // power on, and the pin
    fast();
}
