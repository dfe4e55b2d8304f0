// SPDX-License-Identifier: MIT
#pragma once

#include "machine.h"

typedef struct {
    uint32_t base;
    Gate gate;
    Clock clock;  // the kernel clock
    unsigned irq;
} SdmmcPart;

// SDMMC1 at PC8 to PC12 and PD2, alternate function 12.
void sdmmc_add(const SdmmcPart *part);
