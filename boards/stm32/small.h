// SPDX-License-Identifier: MIT
// What a part with 512 KiB of flash does without, so that the node fits: included after node.h.

// No filesystem in the flash: images lie in the FRAM.
#define MICROPY_HW_ENABLE_INTERNAL_FLASH_STORAGE (0)
#undef MICROPY_HW_HAS_FLASH
#define MICROPY_HW_HAS_FLASH        (0)

#undef MICROPY_HW_ENABLE_DAC
#undef MICROPY_HW_ENABLE_SERVO
#undef MICROPY_PY_FRAMEBUF
#undef MICROPY_PY_NETWORK
#undef MICROPY_PY_RE
#undef MICROPY_PY_SOCKET
#define MICROPY_HW_ENABLE_DAC       (0)
#define MICROPY_HW_ENABLE_SERVO     (0)
#define MICROPY_PY_FRAMEBUF         (0)
#define MICROPY_PY_NETWORK          (0)
#define MICROPY_PY_RE               (0)
#define MICROPY_PY_SOCKET           (0)

#define MICROPY_EMIT_THUMB          (0)
#define MICROPY_EMIT_INLINE_THUMB   (0)
#define MICROPY_PY_CMATH            (0)
#define MICROPY_PY_PYB_LEGACY       (0)
#define MICROPY_PY_STM              (0)
