// SPDX-License-Identifier: MIT
#pragma once

#include "machine.h"

// SYSCFG and EXTI of the G474, for the pins of `ports` ports.
void exti_g4_add(unsigned ports, Gate syscfg_gate);
