// SPDX-License-Identifier: MIT
#pragma once

#include "machine.h"

void pwr_g4_add(void);
bool pwr_g4_backup_open(void);          // CR1.DBP: the backup domain may be written
void pwr_g4_check(uint32_t system_hz);  // refuses what the voltage range does not allow
uint32_t pwr_g4_step_hz(void);          // of HCLK for each wait state of the flash
