// SPDX-License-Identifier: MIT
// MicroPython's own for this board: the HAL asks for it by this name.
#include "boards/NUCLEO_G474RE/stm32g4xx_hal_conf.h"
