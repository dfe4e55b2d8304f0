// SPDX-License-Identifier: MIT
// machine.Timer(-1): soft timers, whose callbacks run through the scheduler, also while the REPL
// waits for a key.
//
// A callback that is still queued is not queued again: a timer that cannot keep its period skips,
// and leaves the queue to others. The scheduler holds a KeyboardInterrupt back until it returns.

#include "py/runtime.h"
#include "shared/runtime/softtimer.h"

#include "boards/qemu_m4/modmachine.h"

typedef struct {
    soft_timer_entry_t entry; // first: the timer heap's node is also the Python object
    mp_obj_t callback;
    volatile bool queued; // from the expiry until the callback begins
} timer_obj_t;

static mp_obj_t timer_run(mp_obj_t self_in) {
    timer_obj_t *self = MP_OBJ_TO_PTR(self_in);
    self->queued = false;
    if (self->callback != mp_const_none) {
        mp_call_function_1(self->callback, self_in);
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(timer_run_obj, timer_run);

static void timer_expired(soft_timer_entry_t *entry) {
    timer_obj_t *self = (timer_obj_t *)entry;
    if (!self->queued) {
        self->queued = true;
        if (!mp_sched_schedule(MP_OBJ_FROM_PTR(&timer_run_obj), MP_OBJ_FROM_PTR(self))) {
            self->queued = false;
        }
    }
}

static uint32_t period_ms(mp_int_t period, mp_obj_t freq) {
    if (freq != mp_const_none) {
        mp_float_t hertz = mp_obj_get_float(freq);
        if (!(hertz > 0)) {
            mp_raise_ValueError(MP_ERROR_TEXT("freq must be positive"));
        }
        mp_float_t wanted = (mp_float_t)1000 / hertz;
        period = wanted < (mp_float_t)0x40000000 ? (mp_int_t)wanted : 0x40000000;
        period = period < 1 ? 1 : period;
    }
    if (period < 1 || period >= 0x40000000) {
        mp_raise_ValueError(MP_ERROR_TEXT("period out of range"));
    }
    return (uint32_t)period;
}

static void timer_start(timer_obj_t *self, size_t n_args, const mp_obj_t *pos_args, mp_map_t *kw_args) {
    enum { ARG_mode, ARG_freq, ARG_period, ARG_callback, ARG_hard };
    static const mp_arg_t allowed_args[] = {
        { MP_QSTR_mode, MP_ARG_KW_ONLY | MP_ARG_INT, {.u_int = SOFT_TIMER_MODE_PERIODIC} },
        { MP_QSTR_freq, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE} },
        { MP_QSTR_period, MP_ARG_KW_ONLY | MP_ARG_INT, {.u_int = 1000} },
        { MP_QSTR_callback, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE} },
        { MP_QSTR_hard, MP_ARG_KW_ONLY | MP_ARG_BOOL, {.u_bool = false} },
    };
    mp_arg_val_t args[MP_ARRAY_SIZE(allowed_args)];
    mp_arg_parse_all(n_args, pos_args, kw_args, MP_ARRAY_SIZE(allowed_args), allowed_args, args);
    if (args[ARG_hard].u_bool) {
        mp_raise_ValueError(MP_ERROR_TEXT("hard timers don't exist"));
    }
    if (args[ARG_callback].u_obj != mp_const_none && !mp_obj_is_callable(args[ARG_callback].u_obj)) {
        mp_raise_ValueError(MP_ERROR_TEXT("callback must be None or callable"));
    }
    uint32_t ms = period_ms(args[ARG_period].u_int, args[ARG_freq].u_obj);
    self->callback = args[ARG_callback].u_obj;
    self->entry.mode = (uint16_t)args[ARG_mode].u_int;
    self->entry.delta_ms = ms;
    if (self->callback != mp_const_none) {
        soft_timer_insert(&self->entry, ms);
    }
}

static mp_obj_t timer_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 0, 1, true);
    if (n_args == 1 && mp_obj_get_int(args[0]) != -1) {
        mp_raise_ValueError(MP_ERROR_TEXT("only soft timers, id -1"));
    }
    timer_obj_t *self = m_new_obj(timer_obj_t);
    soft_timer_static_init(&self->entry, SOFT_TIMER_MODE_ONE_SHOT, 1000, timer_expired);
    self->entry.pairheap.base.type = type;
    self->entry.flags = SOFT_TIMER_FLAG_GC_ALLOCATED;
    self->callback = mp_const_none;
    self->queued = false;
    if (n_kw > 0) {
        mp_map_t kw_args;
        mp_map_init_fixed_table(&kw_args, n_kw, args + n_args);
        timer_start(self, 0, args, &kw_args);
    }
    return MP_OBJ_FROM_PTR(self);
}

// Timer.init(*, mode, freq, period, callback, hard)
static mp_obj_t timer_init(size_t n_args, const mp_obj_t *args, mp_map_t *kw_args) {
    timer_obj_t *self = MP_OBJ_TO_PTR(args[0]);
    soft_timer_remove(&self->entry);
    timer_start(self, n_args - 1, args + 1, kw_args);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_KW(timer_init_obj, 1, timer_init);

// Timer.deinit(): a callback that is queued already does nothing.
static mp_obj_t timer_deinit(mp_obj_t self_in) {
    timer_obj_t *self = MP_OBJ_TO_PTR(self_in);
    soft_timer_remove(&self->entry);
    self->callback = mp_const_none;
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(timer_deinit_obj, timer_deinit);

static void timer_print(const mp_print_t *print, mp_obj_t self_in, mp_print_kind_t kind) {
    (void)kind;
    timer_obj_t *self = MP_OBJ_TO_PTR(self_in);
    qstr mode = self->entry.mode == SOFT_TIMER_MODE_ONE_SHOT ? MP_QSTR_ONE_SHOT : MP_QSTR_PERIODIC;
    mp_printf(print, "Timer(-1, mode=%q, period=%u)", mode, (unsigned int)self->entry.delta_ms);
}

static const mp_rom_map_elem_t timer_locals_table[] = {
    { MP_ROM_QSTR(MP_QSTR_init), MP_ROM_PTR(&timer_init_obj) },
    { MP_ROM_QSTR(MP_QSTR_deinit), MP_ROM_PTR(&timer_deinit_obj) },
    { MP_ROM_QSTR(MP_QSTR_ONE_SHOT), MP_ROM_INT(SOFT_TIMER_MODE_ONE_SHOT) },
    { MP_ROM_QSTR(MP_QSTR_PERIODIC), MP_ROM_INT(SOFT_TIMER_MODE_PERIODIC) },
};
static MP_DEFINE_CONST_DICT(timer_locals, timer_locals_table);

MP_DEFINE_CONST_OBJ_TYPE(
    qemu_timer_type,
    MP_QSTR_Timer,
    MP_TYPE_FLAG_NONE,
    make_new, timer_make_new,
    print, timer_print,
    locals_dict, &timer_locals
    );
