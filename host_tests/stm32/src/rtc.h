// SPDX-License-Identifier: MIT
#pragma once

#include "machine.h"

typedef struct {
    uint32_t base;
    Clock clock;               // of the RTC; 0: it stands still
    bool (*open)(void);        // whether the backup domain may be written
    unsigned backup_registers;
    bool has_options;  // OR, of the H743
    bool version_3;  // of the G474: some offsets differ, and backup registers are in TAMP
    Gate gate;
} Rtc;

void rtc_add(const Rtc *rtc);
// RCC: the backup domain is reset; the RTC has another clock.
void rtc_backup_reset(void);
void rtc_clock_changed(void);
