// SPDX-License-Identifier: MIT
// MicroPython's own for this board: the HAL asks for it by this name.
#include "boards/NUCLEO_H743ZI/stm32h7xx_hal_conf.h"
