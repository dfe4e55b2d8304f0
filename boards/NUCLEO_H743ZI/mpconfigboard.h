// SPDX-License-Identifier: MIT
// MicroPython's NUCLEO_H743ZI as a node.
#include "boards/NUCLEO_H743ZI/mpconfigboard.h"
#include "../stm32/node.h"

// A node has no Ethernet: its flash and RAM go to apps.
#undef MICROPY_HW_ETH_MDC

// The RTC runs by the board's crystal. MicroPython selects that at each start and, without this, the
// oscillator inside once somebody asks for the time: each change resets the backup registers.
#undef MICROPY_HW_RTC_USE_LSE
#define MICROPY_HW_RTC_USE_LSE      (1)
