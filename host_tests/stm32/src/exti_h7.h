// SPDX-License-Identifier: MIT
#pragma once

#include "machine.h"

// SYSCFG and EXTI of the H743, for the pins of `ports` ports.
void exti_h7_add(unsigned ports, Gate syscfg_gate);
