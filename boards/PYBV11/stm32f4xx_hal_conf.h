// SPDX-License-Identifier: MIT
// MicroPython's own for this board: the HAL asks for it by this name.
#include "boards/PYBV11/stm32f4xx_hal_conf.h"
