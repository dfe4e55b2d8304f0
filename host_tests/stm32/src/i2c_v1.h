// SPDX-License-Identifier: MIT
#pragma once

#include "machine.h"

typedef struct {
    const char *pin;
    unsigned function;
} I2cPin;

#define I2C_PINS 4

typedef struct {
    const char *name;
    uint32_t base;
    Gate gate;
    Clock clock;  // PCLK1
    unsigned irq_event, irq_error;
    bool has_filter;                       // the register FLTR
    I2cPin scl[I2C_PINS], sda[I2C_PINS];  // where the signals can be; the rest has no name
} I2cV1Part;

void i2c_v1_add(const I2cV1Part *part);
