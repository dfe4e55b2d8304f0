// SPDX-License-Identifier: MIT
// MicroPython's NUCLEO_G474RE as a node.
#include "boards/NUCLEO_G474RE/mpconfigboard.h"
#include "../stm32/node.h"
#include "../stm32/small.h"

// What the package imports and MicroPython leaves out here.
#undef MICROPY_PY_BINASCII
#undef MICROPY_PY_HASHLIB
#undef MICROPY_PY_JSON
#define MICROPY_PY_BINASCII         (1)
#define MICROPY_PY_HASHLIB          (1)
#define MICROPY_PY_JSON             (1)

// The FRAM's bus. Not I2C1: its SCL is BOOT0, which the pull-up would hold high, and the part would
// start its ROM loader.
#define MICROPY_HW_I2C3_SCL         (pin_A8)
#define MICROPY_HW_I2C3_SDA         (pin_C9)

// The RTC runs by the board's crystal. MicroPython selects that at each start and, without this, the
// oscillator inside once somebody asks for the time: each change resets the backup registers.
#undef MICROPY_HW_RTC_USE_LSE
#define MICROPY_HW_RTC_USE_LSE      (1)

// MicroPython asks PWR for the voltage that 170 MHz need (the boost of range 1) before it gives PWR
// its clock, so that the voltage stayed that of 150 MHz.
#define MICROPY_BOARD_STARTUP() \
    do { \
        powerctrl_check_enter_bootloader(); \
        __HAL_RCC_PWR_CLK_ENABLE(); \
    } while (0)
