// SPDX-License-Identifier: MIT
#pragma once

#include "machine.h"

void fmc_add(uint32_t base, Gate gate);
