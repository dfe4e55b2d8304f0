// SPDX-License-Identifier: MIT
#pragma once

#include "machine.h"

void dac_add(uint32_t base, Gate gate);
