// SPDX-License-Identifier: MIT
#pragma once

#include "machine.h"

// `open`: whether the backup domain may be written.
void tamp_add(Gate gate, bool (*open)(void));
void tamp_backup_reset(void);
