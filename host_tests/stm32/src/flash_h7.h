// SPDX-License-Identifier: MIT
#pragma once

#include "machine.h"

// 2 MiB in two banks of eight sectors, and system memory with the unique id.
void flash_h7_add(void);
// Refuses a clock that needs more wait states than ACR has.
void flash_h7_check_latency(uint32_t hclk_hz);
