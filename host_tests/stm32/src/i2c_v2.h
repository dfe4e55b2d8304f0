// SPDX-License-Identifier: MIT
#pragma once

#include "machine.h"

typedef struct {
    const char *pin;
    unsigned function;
} I2cV2Pin;

#define I2C_V2_PINS 3

typedef struct {
    const char *name;
    uint32_t base;
    Gate gate;
    Clock clock;  // the kernel clock
    unsigned irq_event, irq_error;
    I2cV2Pin scl[I2C_V2_PINS], sda[I2C_V2_PINS];  // where the signals can be; the rest has no name
} I2cV2Part;

void i2c_v2_add(const I2cV2Part *part);
