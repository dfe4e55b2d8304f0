// SPDX-License-Identifier: MIT
// What a node changes of every STM32 board's configuration: included last by its mpconfigboard.h.

// The node mounts the card itself, read-only; MicroPython would start from it.
#define MICROPY_HW_SDCARD_MOUNT_AT_BOOT (0)
