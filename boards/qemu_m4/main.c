// SPDX-License-Identifier: MIT
// One turn of the outer loop is one life of Python: frozen boot.py, REPL, orderly end.

#include "py/cstack.h"
#include "py/gc.h"
#include "py/mphal.h"
#include "py/runtime.h"
#include "shared/readline/readline.h"
#include "shared/runtime/gchelper.h"
#include "shared/runtime/pyexec.h"
#include "shared/runtime/softtimer.h"

#include "boards/qemu_m4/reset.h"
#include "boards/qemu_m4/uart.h"

extern char _stack_start[], _stack_end[];

static char heap[QEMU_M4_HEAP_SIZE] __attribute__((aligned(16)));
// What the C stack (mps2.ld) would need if frames of Python functions lay on it.
static char frames[4096] __attribute__((aligned(8)));

// Calls what sys.atexit holds, while all of Python still stands: apps are stopped in order.
static void run_exit_function(void) {
    if (mp_obj_is_callable(MP_STATE_VM(sys_exitfunc))) {
        nlr_buf_t nlr;
        if (nlr_push(&nlr) == 0) {
            mp_call_function_0(MP_STATE_VM(sys_exitfunc));
            nlr_pop();
        } else {
            mp_obj_print_exception(&mp_plat_print, MP_OBJ_FROM_PTR(nlr.ret_val));
        }
    }
}

static void run_repl(void) {
    for (;;) {
        int leave = pyexec_mode_kind == PYEXEC_MODE_RAW_REPL ? pyexec_raw_repl() : pyexec_friendly_repl();
        if (leave) {
            return;
        }
    }
}

int main(void) {
    mp_cstack_init_with_top(_stack_end, (size_t)(_stack_end - _stack_start));
    for (;;) {
        gc_init(heap, heap + sizeof(heap));
        mp_pystack_init(frames, frames + sizeof(frames));
        mp_init();
        readline_init0();

        // In raw REPL mode too: mpremote enters it before each soft reset, and skips main.py.
        if (!(pyexec_frozen_module("boot.py", false) & PYEXEC_FORCED_EXIT)) {
            run_repl();
        }

        run_exit_function();
        mp_hal_stdout_tx_str("MPY: soft reboot\r\n");
        soft_timer_deinit();
        for (unsigned int id = UART_REPL + 1; id < UART_COUNT; id++) {
            uart_receive(id, false);
        }
        gc_sweep_all();
        mp_deinit();
        reset_note_soft();
    }
}

void gc_collect(void) {
    gc_collect_start();
    gc_helper_collect_regs_and_stack();
    soft_timer_gc_mark_all();
    gc_collect_end();
}

void nlr_jump_fail(void *val) {
    (void)val;
    uart_panic_write("\r\nFAULT: exception without handler\r\nresetting\r\n");
    reset_now(RESET_FAULT);
}
