// SPDX-License-Identifier: MIT
// The classes of module machine that this port brings itself.
#ifndef QEMU_M4_MODMACHINE_H
#define QEMU_M4_MODMACHINE_H

#include "py/obj.h"

extern const mp_obj_type_t machine_pin_type;
extern const mp_obj_type_t qemu_timer_type;
extern const mp_obj_type_t qemu_sdcard_type;
extern const mp_obj_type_t qemu_flash_type;

#endif
