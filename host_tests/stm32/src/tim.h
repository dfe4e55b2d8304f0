// SPDX-License-Identifier: MIT
#pragma once

#include "machine.h"

typedef struct {
    const char *name;
    uint32_t base;
    unsigned update_irq, compare_irq;  // one interrupt for both, but for TIM1 and TIM8
    Gate gate;
    Clock clock;
    bool wide;      // 32 bits
    bool advanced;  // with BDTR and RCR: TIM1, TIM8
} Tim;

void tim_add(const Tim *tim);
