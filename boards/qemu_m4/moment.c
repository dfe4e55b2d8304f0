// SPDX-License-Identifier: MIT
// CMSDK timer 0 counts down at the board's clock. When the emulator derives time from instructions
// (-icount), the same number of ticks is the same instruction in every run.

#include <string.h>

#include "py/runtime.h"
#include "shared/readline/readline.h"
#include "shared/runtime/interrupt_char.h"

#include "boards/qemu_m4/moment.h"
#include "boards/qemu_m4/mps2.h"
#include "boards/qemu_m4/reset.h"
#include "boards/qemu_m4/semihost.h"
#include "boards/qemu_m4/ticks.h"

static volatile bool ctrl_c; // what the moment brings: Ctrl-C, or the end of power

static void set(uint32_t ticks) {
    MPS2_TIMER_CTRL = 0;
    MPS2_TIMER_INTCLEAR = 1;
    if (ticks > 0) {
        MPS2_TIMER_RELOAD = 0;
        MPS2_TIMER_VALUE = ticks;
        MPS2_TIMER_CTRL = MPS2_TIMER_CTRL_ON | MPS2_TIMER_CTRL_INT;
    }
}

// Ticks from power-on at which the host wants the power to fail: the machine's argument `off=`.
static uint32_t wanted(void) {
    char arguments[1024];
    if (reset_cause() != RESET_POWER_ON || semihost_arguments(arguments, sizeof(arguments)) != 0) {
        return 0;
    }
    const char *text = strstr(arguments, " off=");
    uint32_t ticks = 0;
    for (text = text == NULL ? "" : text + 5; *text >= '0' && *text <= '9'; text++) {
        ticks = ticks * 10 + (uint32_t)(*text - '0');
    }
    return ticks;
}

void moment_init(void) {
    M4_NVIC_IPR[MPS2_TIMER_IRQ] = PRIORITY_MOMENT;
    M4_NVIC_ISER = 1u << MPS2_TIMER_IRQ;
    uint32_t ticks = wanted();
    set(ticks > 0 ? ticks : reset_kept_moment());
    reset_keep_moment(0);
}

uint32_t moment_left(void) {
    return ctrl_c || MPS2_TIMER_CTRL == 0 ? 0 : MPS2_TIMER_VALUE;
}

void moment_irq_handler(void) {
    set(0);
    if (!ctrl_c) {
        // No file is closed and no queue is drained: the machine stops where it is.
        semihost_exit();
    }
    if (mp_interrupt_char == CHAR_CTRL_C) {
        mp_sched_keyboard_interrupt();
    }
}

static mp_obj_t begin(mp_obj_t ticks_in, bool then_ctrl_c) {
    mp_int_t ticks = mp_obj_get_int(ticks_in);
    if (ticks < 0) {
        mp_raise_ValueError(MP_ERROR_TEXT("ticks must not be negative"));
    }
    ctrl_c = then_ctrl_c;
    // So that all that depends on the time of day, and the interrupt of each millisecond, falls on
    // the same instructions each time.
    ticks_round_up();
    set((uint32_t)ticks);
    return mp_const_none;
}

static mp_obj_t power_off_after(mp_obj_t ticks) {
    return begin(ticks, false);
}
MP_DEFINE_CONST_FUN_OBJ_1(moment_power_off_after_obj, power_off_after);

static mp_obj_t ctrl_c_after(mp_obj_t ticks) {
    return begin(ticks, true);
}
MP_DEFINE_CONST_FUN_OBJ_1(moment_ctrl_c_after_obj, ctrl_c_after);
