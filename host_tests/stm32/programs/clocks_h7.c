// SPDX-License-Identifier: MIT
//
// Supply, voltage, clocks and the backup domain of the H743. What the part refuses: CASE > 0.

#include "h7.h"

#ifndef CASE
#define CASE 0
#endif

enum { BKP0R = 0x58004050, RTCSEL_LSE = 1 << 8, RTCSEL_LSI = 2 << 8, BDRST = 1 << 16 };
enum { BREN = 1, BRRDY = 1 << 16 };
enum { FROM_PLL1 = 3, SWS_PLL1 = 3 << 3 };

static void configure_supply(void) {
    EQUAL(REG(PWR_CSR1) & ACTVOSRDY, 0);
    REG(PWR_CR3) = LDOEN;
    wait_until(PWR_CSR1, ACTVOSRDY, ACTVOSRDY);
}

static void scale(uint32_t vos) {
    REG(PWR_D3CR) = vos << 14;
    wait_until(PWR_D3CR, VOSRDY, VOSRDY);
}

static void start_pll(void) {
    REG(RCC_CR) |= HSEON;
    wait_until(RCC_CR, HSERDY, HSERDY);
    change(PLLCKSELR, 0x3f3, 4 << 4 | 2);  // HSE / 4
    change(PLLCFGR, 15, 1 << 2);           // 2 to 4 MHz
    REG(PLL1DIVR) = 1 << 24 | 3 << 16 | 1 << 9 | 399;
    REG(RCC_CR) |= PLL1ON;
    EQUAL(REG(RCC_CR) & PLL1RDY, 0);
    wait_until(RCC_CR, PLL1RDY, PLL1RDY);
}

static void fast(void) {
    configure_supply();
    scale(3);
    start_pll();
    REG(D1CFGR) = 4 << 4 | 8;  // HCLK half of the core's 400 MHz, APB half of it
    REG(D2CFGR) = 4 << 8 | 4 << 4;
    REG(D3CFGR) = 4 << 4;
    REG(FLASH_ACR) = 2 << 4 | 2;
    REG(RCC_CFGR) = FROM_PLL1;
    EQUAL(REG(RCC_CFGR) & 7 << 3, SWS_PLL1);
}

static void forbidden(void) {
    switch (CASE) {
        case 1:
            REG(BKP0R) = 1;
            break;
        case 2:
            REG(PWR_CR1) |= DBP;
            REG(BDCR) = RTCSEL_LSE;
            REG(BDCR) = RTCSEL_LSI;
            break;
        case 3:
            REG(RCC_CFGR) = FROM_PLL1;
            break;
        case 4:
            fast();
            REG(FLASH_ACR) = 2 << 4 | 1;
            break;
        case 5:
            fast();
            REG(PLL1DIVR) = 0x01010280;
            break;
        case 6:
            fast();
            REG(RCC_CR) &= ~HSEON;
            break;
        case 7:
            REG(PWR_D3CR) = 3 << 14;
            break;
        case 8:
            REG(PWR_CR3) = LDOEN;
            REG(PWR_CR3) = LDOEN | 4;
            break;
        case 9:
            fast();
            REG(D1CFGR) = 4 << 4;
            break;
        case 10:
            fast();
            scale(2);
            break;
        case 11:
            configure_supply();
            REG(APB4ENR) |= SYSCFG_CLOCK;
            REG(SYSCFG_PWRCR) = 1;
            break;
        case 12:
            start_pll();
            change(PLLCKSELR, 0x3f0, 1 << 4);
            break;
        case 13:
            change(PLLCKSELR, 0x3f3, 4 << 4);  // HSI / 4: 16 MHz, and a range of 1 to 2
            REG(RCC_CR) |= PLL1ON;
            break;
        case 14:
            REG(SYSCFG_PWRCR) = 1;
            break;
        case 15:
            fast();
            REG(D2CFGR) = 0;
            break;
        case 16:
            REG(PWR_CR2) = BREN;
            break;
    }
}

void test(void) {
    if (CASE) {
        forbidden();
        return;
    }
    EQUAL(REG(RSR), 0x00fa0000);
    fast();
    // VOS0, for more than 400 MHz
    REG(APB4ENR) |= SYSCFG_CLOCK;
    REG(SYSCFG_PWRCR) = 1;
    EQUAL(REG(PWR_D3CR) & VOSRDY, 0);
    wait_until(PWR_D3CR, VOSRDY, VOSRDY);
    REG(RSR) = 1 << 16;
    EQUAL(REG(RSR), 0);
    REG(PWR_CR1) |= DBP;
    EQUAL(REG(PWR_CR1), 0xf000c000 | DBP);
    EQUAL(REG(PWR_CR2), 0);
    REG(PWR_CR2) = BREN;
    EQUAL(REG(PWR_CR2), BRRDY | BREN);
    REG(BDCR) = RTCSEL_LSE;
    REG(BKP0R) = 0x1234;
    EQUAL(REG(BKP0R), 0x1234);
    REG(BDCR) |= BDRST;
    EQUAL(REG(BKP0R), 0);
    REG(BDCR) = 0;
    REG(BDCR) = RTCSEL_LSI;
    EQUAL(REG(BDCR), RTCSEL_LSI);
}
