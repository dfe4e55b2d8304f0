// SPDX-License-Identifier: MIT
#pragma once

#include "machine.h"

typedef struct {
    const char *pin;
    unsigned number;  // of the alternate function
} UsartPin;

typedef struct {
    const char *name;  // of the device
    const char *line;  // of the host
    uint32_t base;
    unsigned irq;
    Gate gate;
    Clock clock;
    UsartPin tx[4], rx[4];  // ended by one without a pin
} UsartV1;

void usart_v1_add(const UsartV1 *usart);
