// SPDX-License-Identifier: MIT
#pragma once

#include "machine.h"

// `id`: device and revision
void dbgmcu_add(uint32_t base, uint32_t id);
