// SPDX-License-Identifier: MIT
// What befalls the machine at an exact moment: its power fails, or somebody presses Ctrl-C. For tests
// that try every moment; the emulated board's alone, no real board has this.
#ifndef QEMU_M4_MOMENT_H
#define QEMU_M4_MOMENT_H

#include "py/obj.h"

// Once, before main: a moment that was set before a reset of the machine still comes.
void moment_init(void);

// Ticks of 40 ns that are left until the moment, 0 if none is set.
uint32_t moment_left(void);

void moment_irq_handler(void);

// machine.power_off_after(ticks), machine.ctrl_c_after(ticks): ticks of 40 ns; the later call of
// either counts, 0 takes it back.
extern const mp_obj_fun_builtin_fixed_t moment_power_off_after_obj;
extern const mp_obj_fun_builtin_fixed_t moment_ctrl_c_after_obj;

#endif
