// SPDX-License-Identifier: MIT
#pragma once

#include "machine.h"

// 512 KiB in two banks of 128 pages; and system memory with OTP.
void flash_g4_add(void);
// Refuses a clock that needs more wait states than ACR has.
void flash_g4_check_latency(uint32_t hclk_hz);
