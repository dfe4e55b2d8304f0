// SPDX-License-Identifier: MIT
#pragma once

#include "machine.h"

void pwr_f4_add(bool two_bits_of_scale);
bool pwr_f4_backup_open(void);  // CR.DBP: the backup domain may be written
