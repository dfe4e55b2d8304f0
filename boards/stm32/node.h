// SPDX-License-Identifier: MIT
// What a node changes of every STM32 board's configuration: included last by its mpconfigboard.h.

// The node mounts the card itself, read-only; MicroPython would start from it.
#define MICROPY_HW_SDCARD_MOUNT_AT_BOOT (0)

// The button asks the node for its safe mode. To MicroPython it would choose a start without
// boot.py, so without a node, or with a new filesystem.
#define MICROPY_BOARD_BEFORE_SOFT_RESET_LOOP(state) \
    ((state)->reset_mode = BOARDCTRL_RESET_MODE_NORMAL)

// binascii.crc32 comes with deflate only, which some boards leave out.
#undef MICROPY_PY_DEFLATE
#define MICROPY_PY_DEFLATE (1)

// Frames of Python functions on a stack of their own, as on the emulated board, and as large: the
// port sets 1.5 KiB apart, which is not enough. No frame is in use yet when boot.py begins.
#define MICROPY_ENABLE_PYSTACK (1)
#define MICROPY_BOARD_RUN_BOOT_PY(state) \
    ({ \
        static mp_obj_t frames[4096 / sizeof(mp_obj_t)]; \
        mp_pystack_init(frames, frames + MP_ARRAY_SIZE(frames)); \
        boardctrl_run_boot_py(state); \
    })
