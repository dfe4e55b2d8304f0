// SPDX-License-Identifier: MIT
// MicroPython's NUCLEO_H743ZI as a node.
#include "boards/NUCLEO_H743ZI/mpconfigboard.h"
#include "../stm32/node.h"

// A node has no Ethernet: its flash and RAM go to apps.
#undef MICROPY_HW_ETH_MDC
