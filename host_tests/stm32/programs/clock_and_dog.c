// SPDX-License-Identifier: MIT
//
// RTC, backup registers and watchdog of the F4. A backup register counts the starts: the first one
// sets the calendar, the second one comes by the watchdog, the third by software.

#include "bare.h"

enum { RCC = 0x40023800, APB1ENR = RCC + 0x40, BDCR = RCC + 0x70, CSR = RCC + 0x74 };
enum { PWR_CR = 0x40007000, RTC = 0x40002800, TR = RTC, DR = RTC + 4, ISR = RTC + 12 };
enum { PRER = RTC + 16, WPR = RTC + 0x24, SSR = RTC + 0x28, BKP0R = RTC + 0x50 };
enum { IWDG = 0x40003000, KR = IWDG, PR = IWDG + 4, RLR = IWDG + 8, IWDG_SR = IWDG + 12 };
enum { SOFTWARE = 1 << 28, WATCHDOG = 1 << 29 };

#ifndef CASE
#define CASE 0
#endif

static void set_calendar(void) {
    REG(BDCR) = 1;
    wait_until(BDCR, 2, 2);
    REG(BDCR) = 1 | 1 << 8 | 1 << 15;
    REG(WPR) = 0xca;
    REG(WPR) = 0x53;
    REG(ISR) = 0x80;
    wait_until(ISR, 0x40, 0x40);
    REG(PRER) = 0x7f0000 | 255;
    REG(TR) = 0x235959;
    REG(DR) = 0x280000 | 2 << 13 | 0x0229;  // Tuesday, 29 February 2028
    REG(ISR) = 0;
    REG(WPR) = 0;
    wait_until(ISR, 0x20, 0x20);
    EQUAL(REG(TR), 0x235959);
    EQUAL(REG(DR), 0x284229);
    wait_until(TR, 0xffffffff, 0);  // midnight; DR stays until it is read
    EQUAL(REG(DR), 0x284229);
    (void)REG(SSR);
    EQUAL(REG(DR), 0x286301);
}

static void start_watchdog(void) {
    REG(KR) = 0x5555;
    REG(PR) = 0;     // LSI / 4
    REG(RLR) = 799;  // 100 ms
    REG(KR) = 0xcccc;
    wait_until(IWDG_SR, 3, 0);
    for (unsigned i = 0; i < 3; i++) {
        delay(16000 * 60);
        REG(KR) = 0xaaaa;
    }
    for (;;) {
    }
}

void test(void) {
    REG(APB1ENR) = 1 << 28;
    if (CASE == 1) {  // the backup domain is closed
        REG(BKP0R) = 1;
    }
    REG(PWR_CR) |= 0x100;
    switch (CASE) {
    case 2:  // without keys
        REG(PRER) = 0;
        break;
    case 3:
        REG(RLR) = 1;
        break;
    case 4:
        REG(KR) = 0x1234;
        break;
    case 5:  // before the first write has reached the other clock
        REG(KR) = 0x5555;
        REG(RLR) = 1;
        REG(RLR) = 2;
        break;
    default:
        break;
    }
    switch (++REG(BKP0R)) {
    case 1:
        set_calendar();
        start_watchdog();
        break;
    case 2:
        CHECK(REG(CSR) & WATCHDOG);
        CHECK(REG(BDCR) & 1 << 15);
        REG(CSR) |= 1 << 24;
        REG(0xe000ed0c) = 0x05fa0004;
        for (;;) {
        }
    default:
        EQUAL(REG(BKP0R), 3);
        CHECK(REG(CSR) & SOFTWARE);
        CHECK(!(REG(CSR) & WATCHDOG));
        EQUAL(REG(TR) >> 8, 0);
    }
}
