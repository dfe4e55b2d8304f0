// SPDX-License-Identifier: MIT
#pragma once

#include "machine.h"

void pwr_g4_add(void);
bool pwr_g4_backup_open(void);    // CR1.DBP: the backup domain may be written
uint32_t pwr_g4_most_hz(void);    // of SYSCLK in the voltage range that is set
uint32_t pwr_g4_step_hz(void);    // of HCLK for each wait state of the flash
