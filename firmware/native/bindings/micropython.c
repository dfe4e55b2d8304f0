// SPDX-License-Identifier: MIT
//
// Module `hsxvm` for MicroPython: classes VM and FrameRing, the frames of a serial line, SLCAN lines
// and, where HSX_ED25519 is set, ed25519_verify of signatures.c, as hsxvm.pyi describes them. Converts
// arguments and results, raises, and keeps memory where the collector sees it; nothing else.
//
// One source for firmware and for .mpy files. What is constant in firmware and must be made at
// import in a .mpy file, names, tables and types, is defined by the macros of binding.h: there is
// one in the folder `builtin` and one in `natmod`, and the build chooses.

#include <string.h>

#include "binding.h"

#include "cobs.h"
#include "frame_ring.h"
#include "hsxvm.h"
#include "slcan.h"

typedef struct {
    mp_obj_base_t base;
    hsx_vm_t vm;
    mp_obj_t pool;      // keeps the pool's buffer alive: the core holds pointers into it
    hsx_task_t *tasks;
} hsxvm_obj_t;

static hsx_vm_t *vm_of(mp_obj_t self) {
    return &((hsxvm_obj_t *)MP_OBJ_TO_PTR(self))->vm;
}

static mp_int_t checked(int result) {
    if (result < 0) {
        mp_raise_OSError(-result);
    }
    return result;
}

// An argument, or the largest number, which the core refuses, where it does not fit. All that the
// core takes is a small int on a 32-bit machine too.
static uint32_t u32(mp_obj_t arg) {
    if (!mp_obj_is_small_int(arg)) {
        return mp_obj_is_int(arg) ? UINT32_MAX : (uint32_t)mp_obj_get_int(arg);
    }
    mp_int_t value = MP_OBJ_SMALL_INT_VALUE(arg);
    return value < 0 || (mp_uint_t)value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

static mp_buffer_info_t bytes_of(mp_obj_t arg, mp_uint_t flags) {
    mp_buffer_info_t info;
    mp_get_buffer_raise(arg, &info, flags);
    return info;
}

static mp_obj_t hsxvm_make_new(
    const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *all_args
) {
    enum { ARG_pool, ARG_tasks, ARG_flat };
    NAMES_CONST mp_arg_t allowed[] = {
        {MP_QSTR_pool, MP_ARG_REQUIRED | MP_ARG_OBJ, {0}},
        {MP_QSTR_tasks, MP_ARG_INT, {.u_int = 8}},
        {MP_QSTR_flat, MP_ARG_BOOL, {.u_bool = false}},
    };
    mp_arg_val_t args[MP_ARRAY_SIZE(allowed)];
    mp_arg_parse_all_kw_array(n_args, n_kw, all_args, MP_ARRAY_SIZE(allowed), allowed, args);

    mp_buffer_info_t pool = bytes_of(args[ARG_pool].u_obj, MP_BUFFER_RW);
    mp_int_t tasks = args[ARG_tasks].u_int;
    if (tasks < 1 || tasks > HSX_MAX_TASKS) {
        mp_raise_OSError(-HSX_EINVAL);  // before a table of that size is made
    }
    hsxvm_obj_t *self = mp_obj_malloc(hsxvm_obj_t, type);
    self->pool = args[ARG_pool].u_obj;
    self->tasks = m_new(hsx_task_t, tasks);
    hsx_cfg_t cfg = {
        .pool = pool.buf,
        .pool_len = pool.len,
        .tasks = self->tasks,
        .task_count = (uint32_t)tasks,
        .flat = args[ARG_flat].u_bool,
    };
    checked(hsx_init(&self->vm, &cfg));
    return MP_OBJ_FROM_PTR(self);
}

static mp_obj_t hsxvm_load_begin(size_t n_args, const mp_obj_t *args) {
    uint32_t wanted = n_args > 1 ? u32(args[1]) : 0;
    return MP_OBJ_NEW_SMALL_INT(checked(hsx_load_begin(vm_of(args[0]), wanted)));
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(hsxvm_load_begin_obj, 1, 2, hsxvm_load_begin);

static mp_obj_t hsxvm_load_write(mp_obj_t self, mp_obj_t pid, mp_obj_t buf) {
    mp_buffer_info_t info = bytes_of(buf, MP_BUFFER_READ);
    size_t body;
    checked(hsx_load_write(vm_of(self), u32(pid), info.buf, info.len, &body));
    return MP_OBJ_NEW_SMALL_INT((mp_int_t)body);
}
static MP_DEFINE_CONST_FUN_OBJ_3(hsxvm_load_write_obj, hsxvm_load_write);

static mp_obj_t hsxvm_load_heap(mp_obj_t self, mp_obj_t pid, mp_obj_t size) {
    checked(hsx_load_heap(vm_of(self), u32(pid), u32(size)));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_3(hsxvm_load_heap_obj, hsxvm_load_heap);

// The last argument of load_end() and load(), by position or by name.
static uint32_t stack_arg(size_t n_args, const mp_obj_t *args, mp_map_t *kw_args) {
    NAMES_CONST mp_arg_t allowed[] = {
        {MP_QSTR_stack, MP_ARG_OBJ, {.u_rom_obj = MP_ROM_INT(0)}},
    };
    mp_arg_val_t stack[1];
    mp_arg_parse_all(n_args - 2, args + 2, kw_args, 1, allowed, stack);
    return u32(stack[0].u_obj);
}

static mp_obj_t hsxvm_load_end(size_t n_args, const mp_obj_t *args, mp_map_t *kw_args) {
    uint32_t stack = stack_arg(n_args, args, kw_args);
    checked(hsx_load_end(vm_of(args[0]), u32(args[1]), stack));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_KW(hsxvm_load_end_obj, 2, hsxvm_load_end);

static mp_obj_t hsxvm_load_abort(mp_obj_t self, mp_obj_t pid) {
    checked(hsx_load_abort(vm_of(self), u32(pid)));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(hsxvm_load_abort_obj, hsxvm_load_abort);

static mp_obj_t hsxvm_load(size_t n_args, const mp_obj_t *args, mp_map_t *kw_args) {
    uint32_t stack = stack_arg(n_args, args, kw_args);
    mp_buffer_info_t info = bytes_of(args[1], MP_BUFFER_READ);
    return MP_OBJ_NEW_SMALL_INT(checked(hsx_load(vm_of(args[0]), info.buf, info.len, stack)));
}
static MP_DEFINE_CONST_FUN_OBJ_KW(hsxvm_load_obj, 2, hsxvm_load);

static mp_obj_t hsxvm_error(mp_obj_t self) {
    const hsx_error_t *error = hsx_load_error(vm_of(self));
    mp_obj_t items[3] = {
        MP_OBJ_NEW_SMALL_INT(-error->err),
        mp_obj_new_int_from_uint(error->offset),
        MP_OBJ_NEW_SMALL_INT((mp_int_t)error->rule),
    };
    return mp_obj_new_tuple(3, items);
}
static MP_DEFINE_CONST_FUN_OBJ_1(hsxvm_error_obj, hsxvm_error);

static mp_obj_t hsxvm_unload(mp_obj_t self, mp_obj_t pid) {
    checked(hsx_unload(vm_of(self), u32(pid)));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(hsxvm_unload_obj, hsxvm_unload);

static mp_obj_t hsxvm_pids(mp_obj_t self) {
    mp_obj_t items[HSX_MAX_TASKS];
    size_t n = 0;
    for (uint32_t pid = 1; pid <= HSX_MAX_TASKS; pid++) {
        if (hsx_state(vm_of(self), pid) >= 0) {
            items[n++] = MP_OBJ_NEW_SMALL_INT((mp_int_t)pid);
        }
    }
    return mp_obj_new_tuple(n, items);
}
static MP_DEFINE_CONST_FUN_OBJ_1(hsxvm_pids_obj, hsxvm_pids);

static mp_obj_t hsxvm_state(mp_obj_t self, mp_obj_t pid) {
    return MP_OBJ_NEW_SMALL_INT(checked(hsx_state(vm_of(self), u32(pid))));
}
static MP_DEFINE_CONST_FUN_OBJ_2(hsxvm_state_obj, hsxvm_state);

static mp_obj_t hsxvm_clock(mp_obj_t self, mp_obj_t pid, mp_obj_t steps) {
    return MP_OBJ_NEW_SMALL_INT(checked(hsx_clock(vm_of(self), u32(pid), u32(steps))));
}
static MP_DEFINE_CONST_FUN_OBJ_3(hsxvm_clock_obj, hsxvm_clock);

static mp_obj_t hsxvm_get(mp_obj_t self, mp_obj_t pid, mp_obj_t which) {
    uint32_t value;
    checked(hsx_get(vm_of(self), u32(pid), u32(which), &value));
    return mp_obj_new_int_from_uint(value);
}
static MP_DEFINE_CONST_FUN_OBJ_3(hsxvm_get_obj, hsxvm_get);

static mp_obj_t hsxvm_set(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    uint32_t value = (uint32_t)mp_obj_get_int_truncated(args[3]);
    checked(hsx_set(vm_of(args[0]), u32(args[1]), u32(args[2]), value));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(hsxvm_set_obj, 4, 4, hsxvm_set);

static mp_obj_t hsxvm_read(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    uint32_t addr = (uint32_t)mp_obj_get_int_truncated(args[2]);
    mp_buffer_info_t info = bytes_of(args[3], MP_BUFFER_WRITE);
    return MP_OBJ_NEW_SMALL_INT(
        checked(hsx_read(vm_of(args[0]), u32(args[1]), addr, info.buf, info.len)));
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(hsxvm_read_obj, 4, 4, hsxvm_read);

static mp_obj_t hsxvm_write(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    uint32_t addr = (uint32_t)mp_obj_get_int_truncated(args[2]);
    mp_buffer_info_t info = bytes_of(args[3], MP_BUFFER_READ);
    return MP_OBJ_NEW_SMALL_INT(
        checked(hsx_write(vm_of(args[0]), u32(args[1]), addr, info.buf, info.len)));
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(hsxvm_write_obj, 4, 4, hsxvm_write);

static mp_obj_t hsxvm_free(mp_obj_t self) {
    return mp_obj_new_int_from_uint(hsx_free(vm_of(self)));
}
static MP_DEFINE_CONST_FUN_OBJ_1(hsxvm_free_obj, hsxvm_free);

#define VM_METHODS(OBJECT) \
    OBJECT(MP_QSTR_load_begin, hsxvm_load_begin_obj) \
    OBJECT(MP_QSTR_load_write, hsxvm_load_write_obj) \
    OBJECT(MP_QSTR_load_heap, hsxvm_load_heap_obj) \
    OBJECT(MP_QSTR_load_end, hsxvm_load_end_obj) \
    OBJECT(MP_QSTR_load_abort, hsxvm_load_abort_obj) \
    OBJECT(MP_QSTR_load, hsxvm_load_obj) \
    OBJECT(MP_QSTR_error, hsxvm_error_obj) \
    OBJECT(MP_QSTR_unload, hsxvm_unload_obj) \
    OBJECT(MP_QSTR_pids, hsxvm_pids_obj) \
    OBJECT(MP_QSTR_state, hsxvm_state_obj) \
    OBJECT(MP_QSTR_clock, hsxvm_clock_obj) \
    OBJECT(MP_QSTR_get, hsxvm_get_obj) \
    OBJECT(MP_QSTR_set, hsxvm_set_obj) \
    OBJECT(MP_QSTR_read, hsxvm_read_obj) \
    OBJECT(MP_QSTR_write, hsxvm_write_obj) \
    OBJECT(MP_QSTR_free, hsxvm_free_obj)

DEFINE_TYPE(hsxvm_type, MP_QSTR_VM, hsxvm_make_new, VM_METHODS)

typedef struct {
    mp_obj_base_t base;
    hsx_ring_t ring;
    mp_obj_array_t *view;  // of 8 bytes for the frame that leaves, as long as its data
    uint32_t place;        // of the data in the list that is put
} ring_obj_t;

static mp_obj_t ring_make_new(
    const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args
) {
    mp_arg_check_num(n_args, n_kw, 2, 2, false);
    uint32_t frames = u32(args[0]);
    uint32_t place = u32(args[1]);
    if (frames == 0 || frames > HSX_RING_MAX || place > 4) {
        mp_raise_OSError(-HSX_EINVAL);
    }
    ring_obj_t *self = mp_obj_malloc(ring_obj_t, type);
    self->place = place;
    mp_obj_t data = mp_obj_new_bytearray_by_ref(8, m_new(uint8_t, 8));
    self->view = MP_OBJ_TO_PTR(mp_call_function_n_kw(MEMORYVIEW, 1, 0, &data));
    uint8_t *cells = m_new(uint8_t, (frames + 1) * HSX_RING_CELL);
    hsx_ring_init(&self->ring, cells, frames);
    return MP_OBJ_FROM_PTR(self);
}

static mp_obj_t ring_put(mp_obj_t self_in, mp_obj_t frame) {
    ring_obj_t *self = MP_OBJ_TO_PTR(self_in);
    if (frame == mp_const_none) {
        return mp_const_false;
    }
    size_t len;
    mp_obj_t *items;
    mp_obj_get_array(frame, &len, &items);
    if (len < 3 || len <= self->place) {
        mp_raise_OSError(-HSX_EINVAL);
    }
    if (!mp_obj_is_true(items[2])) {
        mp_buffer_info_t data = bytes_of(items[self->place], MP_BUFFER_READ);
        hsx_ring_put(&self->ring, u32(items[0]), data.buf, data.len);
    }
    return mp_const_true;
}
static MP_DEFINE_CONST_FUN_OBJ_2(ring_put_obj, ring_put);

static mp_obj_t ring_drain(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    ring_obj_t *self = MP_OBJ_TO_PTR(args[0]);
    uint32_t limit = u32(args[3]);
    uint32_t count = 0;
    int got;
    while (count < limit && (got = hsx_ring_get(&self->ring, self->view->items)) >= 0) {
        self->view->len = (size_t)got >> 11;
        mp_obj_t frame[3] = {
            MP_OBJ_NEW_SMALL_INT(got & 0x7FF), MP_OBJ_FROM_PTR(self->view), args[2],
        };
        mp_call_function_n_kw(args[1], 3, 0, frame);
        count++;
    }
    return MP_OBJ_NEW_SMALL_INT((mp_int_t)count);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(ring_drain_obj, 4, 4, ring_drain);

static mp_obj_t ring_lost(mp_obj_t self_in) {
    ring_obj_t *self = MP_OBJ_TO_PTR(self_in);
    return mp_obj_new_int_from_uint(self->ring.lost);
}
static MP_DEFINE_CONST_FUN_OBJ_1(ring_lost_obj, ring_lost);

#define RING_METHODS(OBJECT) \
    OBJECT(MP_QSTR_put, ring_put_obj) \
    OBJECT(MP_QSTR_drain, ring_drain_obj) \
    OBJECT(MP_QSTR_lost, ring_lost_obj)

DEFINE_TYPE(ring_type, MP_QSTR_FrameRing, ring_make_new, RING_METHODS)

static mp_obj_t hsxvm_place(mp_obj_t buf, mp_obj_t at_in, mp_obj_t data_in) {
    mp_buffer_info_t into = bytes_of(buf, MP_BUFFER_WRITE);
    mp_buffer_info_t data = bytes_of(data_in, MP_BUFFER_READ);
    uint32_t at = u32(at_in);
    if (at > into.len || data.len > into.len - at) {
        mp_raise_OSError(-HSX_EINVAL);
    }
    memmove((uint8_t *)into.buf + at, data.buf, data.len);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_3(hsxvm_place_obj, hsxvm_place);

static mp_obj_t hsxvm_slcan_parse(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    mp_buffer_info_t text = bytes_of(args[0], MP_BUFFER_READ);
    mp_buffer_info_t data = bytes_of(args[3], MP_BUFFER_WRITE);
    uint32_t start = u32(args[1]);
    uint32_t stop = u32(args[2]);
    if (start > stop || stop > text.len || data.len < 8) {
        mp_raise_OSError(-HSX_EINVAL);
    }
    const uint8_t *line = (const uint8_t *)text.buf + start;
    return MP_OBJ_NEW_SMALL_INT(hsx_slcan_parse(line, stop - start, data.buf));
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(hsxvm_slcan_parse_obj, 4, 4, hsxvm_slcan_parse);

static mp_obj_t hsxvm_slcan_format(mp_obj_t ident, mp_obj_t data_in, mp_obj_t line_in) {
    mp_buffer_info_t data = bytes_of(data_in, MP_BUFFER_READ);
    mp_buffer_info_t line = bytes_of(line_in, MP_BUFFER_WRITE);
    if (u32(ident) > 0x7FF || data.len > 8 || line.len < HSX_SLCAN_LINE) {
        mp_raise_OSError(-HSX_EINVAL);
    }
    return MP_OBJ_NEW_SMALL_INT(
        (mp_int_t)hsx_slcan_format(u32(ident), data.buf, data.len, line.buf));
}
static MP_DEFINE_CONST_FUN_OBJ_3(hsxvm_slcan_format_obj, hsxvm_slcan_format);

static mp_obj_t hsxvm_cobs_encode(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    mp_buffer_info_t buf = bytes_of(args[0], MP_BUFFER_RW);
    return MP_OBJ_NEW_SMALL_INT(
        checked(hsx_cobs_encode(buf.buf, buf.len, u32(args[1]), u32(args[2]), u32(args[3]))));
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(hsxvm_cobs_encode_obj, 4, 4, hsxvm_cobs_encode);

static mp_obj_t hsxvm_cobs_decode(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    mp_buffer_info_t state = bytes_of(args[0], MP_BUFFER_RW);
    mp_buffer_info_t room = bytes_of(args[1], MP_BUFFER_WRITE);
    mp_buffer_info_t line = bytes_of(args[2], MP_BUFFER_READ);
    if (state.len < HSX_COBS_STATE) {
        mp_raise_OSError(-HSX_EINVAL);
    }
    size_t end = u32(args[4]) < line.len ? u32(args[4]) : line.len;
    size_t at = u32(args[3]) < end ? u32(args[3]) : end;
    size_t taken =
        hsx_cobs_decode(state.buf, room.buf, room.len, (const uint8_t *)line.buf + at, end - at);
    return MP_OBJ_NEW_SMALL_INT(taken != 0 ? (mp_int_t)(at + taken) : 0);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(hsxvm_cobs_decode_obj, 5, 5, hsxvm_cobs_decode);

#if HSX_ED25519
extern const mp_obj_fun_builtin_fixed_t hsx_ed25519_verify_obj;  // of signatures.c
#define SIGNATURES(OBJECT) OBJECT(MP_QSTR_ed25519_verify, hsx_ed25519_verify_obj)
#else
#define SIGNATURES(OBJECT)
#endif

#if HSX_INTERRUPT
static mp_obj_t hsxvm_interrupt(void) {
    mp_sched_keyboard_interrupt();
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_0(hsxvm_interrupt_obj, hsxvm_interrupt);
#define INTERRUPT(OBJECT) OBJECT(MP_QSTR_interrupt, hsxvm_interrupt_obj)
#else
#define INTERRUPT(OBJECT)
#endif

#define MODULE_CONTENT(TYPE, OBJECT, NUMBER) \
    TYPE(MP_QSTR_VM, hsxvm_type) \
    TYPE(MP_QSTR_FrameRing, ring_type) \
    OBJECT(MP_QSTR_place, hsxvm_place_obj) \
    OBJECT(MP_QSTR_slcan_parse, hsxvm_slcan_parse_obj) \
    OBJECT(MP_QSTR_slcan_format, hsxvm_slcan_format_obj) \
    OBJECT(MP_QSTR_cobs_encode, hsxvm_cobs_encode_obj) \
    OBJECT(MP_QSTR_cobs_decode, hsxvm_cobs_decode_obj) \
    SIGNATURES(OBJECT) \
    INTERRUPT(OBJECT) \
    NUMBER(MP_QSTR_OK, HSX_STOP_OK) \
    NUMBER(MP_QSTR_SVC, HSX_STOP_SVC) \
    NUMBER(MP_QSTR_BRK, HSX_STOP_BRK) \
    NUMBER(MP_QSTR_FAULT, HSX_STOP_FAULT) \
    NUMBER(MP_QSTR_EXIT, HSX_STOP_EXIT) \
    NUMBER(MP_QSTR_RETURNED, HSX_STOP_RETURNED) \
    NUMBER(MP_QSTR_SLEEP, HSX_STOP_SLEEP) \
    NUMBER(MP_QSTR_FAULT_STACK_UNDERFLOW, HSX_FAULT_STACK_UNDERFLOW) \
    NUMBER(MP_QSTR_FAULT_STACK_OVERFLOW, HSX_FAULT_STACK_OVERFLOW) \
    NUMBER(MP_QSTR_FAULT_MEM, HSX_FAULT_MEM) \
    NUMBER(MP_QSTR_FAULT_DIV_ZERO, HSX_FAULT_DIV_ZERO) \
    NUMBER(MP_QSTR_FAULT_ILLEGAL, HSX_FAULT_ILLEGAL) \
    NUMBER(MP_QSTR_FAULT_PC_RANGE, HSX_FAULT_PC_RANGE) \
    NUMBER(MP_QSTR_LOADING, HSX_LOADING) \
    NUMBER(MP_QSTR_FAILED, HSX_FAILED) \
    NUMBER(MP_QSTR_READY, HSX_READY) \
    NUMBER(MP_QSTR_PARKED, HSX_PARKED) \
    NUMBER(MP_QSTR_PC, HSX_PC) \
    NUMBER(MP_QSTR_SP, HSX_SP) \
    NUMBER(MP_QSTR_PSW, HSX_PSW) \
    NUMBER(MP_QSTR_DEPTH, HSX_DEPTH) \
    NUMBER(MP_QSTR_STEPS, HSX_STEPS) \
    NUMBER(MP_QSTR_STACK_LIMIT, HSX_STACK_LIMIT) \
    NUMBER(MP_QSTR_CODE_LEN, HSX_CODE_LEN) \
    NUMBER(MP_QSTR_RO_LEN, HSX_RO_LEN) \
    NUMBER(MP_QSTR_ARENA, HSX_ARENA) \
    NUMBER(MP_QSTR_LAST_PC, HSX_LAST_PC) \
    NUMBER(MP_QSTR_LAST_WORD, HSX_LAST_WORD)

DEFINE_MODULE(MP_QSTR_hsxvm, MODULE_CONTENT)
