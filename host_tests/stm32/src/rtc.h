// SPDX-License-Identifier: MIT
#pragma once

#include "machine.h"

void rtc_add(Gate gate);
void rtc_backup_reset(void);
void rtc_clock_changed(void);
