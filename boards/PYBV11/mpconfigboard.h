// SPDX-License-Identifier: MIT
// MicroPython's PYBV11 as a node.
#include "boards/PYBV11/mpconfigboard.h"
#include "../stm32/node.h"
