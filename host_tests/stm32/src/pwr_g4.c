// SPDX-License-Identifier: MIT
//
// PWR of the G474: RM0440 chapter 6. Left out: stop, standby and shutdown, wake-up pins, the
// voltage detectors, low-power run, and pull-ups in standby.

#include "pwr_g4.h"

#include "rcc_g4.h"

enum { CR1 = 0x00, CR2 = 0x04, CR3 = 0x08, CR4 = 0x0c, SR1 = 0x10, SR2 = 0x14, SCR = 0x18 };
enum { CR5 = 0x80, DBP = 1 << 8, VOS = 3 << 9, R1MODE = 1 << 8, RANGE_1 = 1 << 9 };
enum { UCPD1_DBDIS = 1 << 14 };

static Device pwr;

static bool is_range_1(void) {
    return (*device_value(&pwr, CR1) & VOS) == RANGE_1;
}

static bool is_boosted(void) {
    return !(*device_value(&pwr, CR5) & R1MODE);
}

bool pwr_g4_backup_open(void) {
    return *device_value(&pwr, CR1) & DBP;
}

void pwr_g4_check(uint32_t system_hz) {
    if (system_hz > (!is_range_1() ? 26000000 : is_boosted() ? 170000000 : 150000000)) {
        refuse("SYSCLK %u Hz in this voltage range of PWR", (unsigned)system_hz);
    }
}

uint32_t pwr_g4_step_hz(void) {
    // RM0440 table 29
    return !is_range_1() ? 12000000 : is_boosted() ? 34000000 : 30000000;
}

void pwr_g4_add(void) {
    static const Register registers[] = {
        {CR1, "CR1", RANGE_1, DBP | VOS, 0, 0},
        {CR2, "CR2", 0, 0, 0, 0},
        {CR3, "CR3", 0x8000, 0x8000 | UCPD1_DBDIS, 0, 0},
        {CR4, "CR4", 0, 0, 0, 0},
        {SR1, "SR1", 0, 0, 0, 0},
        {SR2, "SR2", 0, 0, 0, 0},
        {SCR, "SCR", 0, 0x11f, 0, 0},
        {CR5, "CR5", R1MODE, R1MODE, 0, 0},
        {0},
    };
    pwr = (Device){
        .name = "PWR", .base = 0x40007000, .registers = registers, .gate = G4_APB1(28),
    };
    device_add(&pwr);
}
