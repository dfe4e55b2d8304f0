// SPDX-License-Identifier: MIT
#pragma once

#include "machine.h"

// Flash of 16 KiB sectors 0 to 3, 64 KiB sector 4, then 128 KiB; and system memory with OTP.
void flash_f4_add(uint32_t size, unsigned latency_bits);
// Refuses a clock that needs more wait states than ACR has.
void flash_f4_check_latency(uint32_t hclk_hz);
