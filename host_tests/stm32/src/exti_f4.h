// SPDX-License-Identifier: MIT
#pragma once

#include "machine.h"

// SYSCFG and EXTI of the F4, for the pins of `ports` ports.
void exti_f4_add(unsigned ports, Gate syscfg_gate);
