// SPDX-License-Identifier: MIT
#pragma once

#include "machine.h"

typedef struct {
    uint32_t base;
    Gate gate;
    Clock clock;  // SDIOCLK, 48 MHz
    unsigned irq;
} SdioPart;

// SDIO at PC8 to PC12 and PD2, alternate function 12, DMA2 channel 4.
void sdio_add(const SdioPart *part);
