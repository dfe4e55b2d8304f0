// SPDX-License-Identifier: MIT
//
// RCC and PWR of the F4, and what an access needs: a register, a clock, bits that may be changed.

#include "bare.h"

enum { RCC = 0x40023800, CR = RCC, PLLCFGR = RCC + 4, CFGR = RCC + 8, AHB1ENR = RCC + 0x30 };
enum { APB1ENR = RCC + 0x40, BDCR = RCC + 0x70, CSR = RCC + 0x74, FLASH_ACR = 0x40023c00 };
enum { GPIOB_MODER = 0x40020400, PWR_CR = 0x40007000 };

#ifndef CASE
#define CASE 0
#endif

static void start_pll(void) {
    REG(CR) |= 1 << 16;
    wait_until(CR, 1 << 17, 1 << 17);
    REG(PLLCFGR) = 12 | 336 << 6 | 1 << 22 | 7 << 24;
    REG(CR) |= 1 << 24;
    wait_until(CR, 1 << 25, 1 << 25);
}

void test(void) {
    EQUAL(REG(CR), 0x83);
    EQUAL(REG(CSR), 0x0e000000);
    switch (CASE) {
    case 1:  // no such register
        (void)REG(RCC + 0x1c);
        break;
    case 2:  // no device there
        (void)REG(0x40016000);
        break;
    case 3:  // no clock
        REG(GPIOB_MODER) = 0;
        break;
    case 4:  // a reserved bit
        REG(AHB1ENR) = 1 << 31;
        break;
    case 5:  // the PLL is not ready
        REG(CFGR) = 2;
        break;
    case 6:  // too fast for the wait states
        start_pll();
        REG(CFGR) = 2 | 5 << 10 | 4 << 13;
        break;
    case 7:  // the VCO's range
        REG(PLLCFGR) = 12 | 49 << 6 | 1 << 22 | 7 << 24;
        REG(CR) |= 1 << 16;
        wait_until(CR, 1 << 17, 1 << 17);
        REG(CR) |= 1 << 24;
        wait_until(CR, 1 << 25, 1 << 25);
        REG(CFGR) = 2;
        break;
    case 8:  // the PLL is on
        start_pll();
        REG(PLLCFGR) = 12 | 168 << 6 | 1 << 22 | 7 << 24;
        break;
    case 9:  // the backup domain is closed
        REG(BDCR) = 1;
        break;
    case 10:  // the clock of the RTC is changed
        REG(APB1ENR) = 1 << 28;
        REG(PWR_CR) |= 0x100;
        REG(BDCR) = 1 << 8;
        REG(BDCR) = 2 << 8;
        break;
    case 11:  // APB stays too fast
        start_pll();
        REG(FLASH_ACR) = 5;
        REG(CFGR) = 2;
        delay(168 * 200);
        break;
    case 12:  // the PLL drives the core
        start_pll();
        REG(FLASH_ACR) = 5;
        REG(CFGR) = 2 | 5 << 10 | 4 << 13;
        REG(CR) &= ~(1u << 24);
        break;
    default:
        start_pll();
        REG(FLASH_ACR) = 5;
        REG(CFGR) = 2 | 5 << 10 | 4 << 13;
        EQUAL(REG(CFGR) & 12, 8);
        // The bit-band alias reaches one bit.
        REG(0x42000000 + (0x23830 * 32) + 1 * 4) = 1;
        EQUAL(REG(AHB1ENR), 0x00100002);
        EQUAL(REG(0x42000000 + (0x23830 * 32) + 1 * 4), 1);
        EQUAL(REG(GPIOB_MODER), 0x280);
        REG(RCC + 0x10) = 2;  // its reset
        REG(RCC + 0x10) = 0;
        REG(CSR) = 1;
        wait_until(CSR, 2, 2);
        REG(CSR) |= 1 << 24;
        EQUAL(REG(CSR) >> 24, 0);
    }
}
