// SPDX-License-Identifier: MIT
#pragma once

#include "machine.h"

void pwr_h7_add(void);
bool pwr_h7_backup_open(void);  // CR1.DBP: the backup domain may be written
// Refuse what the voltage does not allow.
void pwr_h7_check(uint32_t core_hz, uint32_t hclk_hz);
void pwr_h7_check_apb(uint32_t hz);
// The level of the core's voltage: 0, the highest, to 3
unsigned pwr_h7_level(void);
// SYSCFG: the bit ODEN of its PWRCR
void pwr_h7_overdrive(bool on);
