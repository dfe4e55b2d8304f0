// SPDX-License-Identifier: MIT
#pragma once

#include "machine.h"

typedef struct {
    const char *name;
    uint32_t base;
    Gate gate;
} SpiPart;

void spi_add(const SpiPart *part);
