// SPDX-License-Identifier: MIT
// MicroPython's NUCLEO_F446RE as a node.
#include "boards/NUCLEO_F446RE/mpconfigboard.h"
#include "../stm32/node.h"
#include "../stm32/small.h"

// A card socket on the morpho connectors; the switch closes to ground while a card is in.
#define MICROPY_HW_ENABLE_SDCARD            (1)
#define MICROPY_HW_SDCARD_DETECT_PIN        (pin_C4)
#define MICROPY_HW_SDCARD_DETECT_PULL       (GPIO_PULLUP)
#define MICROPY_HW_SDCARD_DETECT_PRESENT    (GPIO_PIN_RESET)
