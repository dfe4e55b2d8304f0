// SPDX-License-Identifier: MIT
#pragma once

#include "machine.h"

// `clock` is that of its analog part, about 48 MHz; `cycles` of it make a number.
void rng_add(uint32_t base, unsigned irq, Gate gate, Clock clock, unsigned cycles);
