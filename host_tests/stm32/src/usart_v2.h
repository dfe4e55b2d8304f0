// SPDX-License-Identifier: MIT
#pragma once

#include "machine.h"

typedef struct {
    const char *pin;
    unsigned number;  // of the alternate function
} UsartV2Pin;

typedef struct {
    const char *name;  // of the device
    const char *line;  // of the host
    uint32_t base;
    unsigned irq, fifo;  // bytes of each FIFO
    bool low_power;      // LPUART: BRR counts 256ths, and there is no oversampling
    Gate gate;
    Clock clock;
    UsartV2Pin tx[4], rx[4];  // ended by one without a pin
} UsartV2;

void usart_v2_add(const UsartV2 *usart);
