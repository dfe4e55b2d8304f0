// SPDX-License-Identifier: MIT
#pragma once

#include "machine.h"

void otg_fs_add(uint32_t base, Gate gate);
