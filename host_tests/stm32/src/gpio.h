// SPDX-License-Identifier: MIT
#pragma once

#include "machine.h"

// Reset values of MODER, OSPEEDR and PUPDR differ at the ports that have the debugger's pins.
typedef struct {
    uint32_t base;
    Gate gate;
    uint32_t mode, speed, pull;
    bool has_brr;  // a register that resets bits
} Port;

// Ports A, B, ...; `count` of them.
void gpio_add(const Port *ports, unsigned count);
