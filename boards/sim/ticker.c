// SPDX-License-Identifier: MIT
// Module ticker: one periodic callback in scheduler context, which the unix port has no timer for.
//
// The host's interval timer raises SIGALRM, whose handler queues the callback; the signal also
// ends a system call that waits, so that the callback runs while the REPL waits for a key. The
// timer is set anew when the callback is over: a slow one leaves the main program its share.

#include <signal.h>
#include <sys/time.h>

#include "py/mperrno.h"
#include "py/mphal.h"
#include "py/runtime.h"

static mp_sched_node_t ticker_node;
static suseconds_t ticker_period_us; // 0: stopped

// Holds the signals back whose handlers touch the scheduler. Returns what release needs.
uintptr_t ticker_hold_signals(void) {
    sigset_t held, before;
    sigemptyset(&held);
    sigaddset(&held, SIGALRM);
    sigaddset(&held, SIGINT);
    sigprocmask(SIG_BLOCK, &held, &before);
    return sigismember(&before, SIGALRM) == 0;
}

// `state` from hold: whether it was hold that blocked the signals.
void ticker_release_signals(uintptr_t state) {
    if (state) {
        sigset_t held;
        sigemptyset(&held);
        sigaddset(&held, SIGALRM);
        sigaddset(&held, SIGINT);
        sigprocmask(SIG_UNBLOCK, &held, NULL);
    }
}

static void ticker_set(suseconds_t us) {
    struct itimerval once = { .it_value = { .tv_sec = us / 1000000, .tv_usec = us % 1000000 } };
    setitimer(ITIMER_REAL, &once, NULL);
}

static void ticker_run(mp_sched_node_t *node) {
    (void)node;
    mp_obj_t callback = MP_STATE_VM(ticker_callback);
    if (ticker_period_us != 0) {
        mp_call_function_1_protected(callback, mp_const_none);
    }
    if (ticker_period_us != 0) {
        ticker_set(ticker_period_us);
    }
}

static void ticker_on_alarm(int number) {
    (void)number;
    mp_sched_schedule_node(&ticker_node, ticker_run);
}

// start(period_ms, callback): calls callback(None) again and again, period_ms after it has ended.
static mp_obj_t ticker_start(mp_obj_t period_in, mp_obj_t callback) {
    mp_int_t ms = mp_obj_get_int(period_in);
    if (ms < 1 || ms > 1000000) {
        mp_raise_ValueError(MP_ERROR_TEXT("period out of range"));
    }
    struct sigaction action = { .sa_handler = ticker_on_alarm };
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGINT);
    sigaction(SIGALRM, &action, NULL);
    MP_STATE_VM(ticker_callback) = callback;
    ticker_period_us = ms * 1000;
    ticker_set(ticker_period_us);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(ticker_start_obj, ticker_start);

// stop(): a callback that is queued already does nothing.
static mp_obj_t ticker_stop(void) {
    ticker_period_us = 0;
    ticker_set(0);
    MP_STATE_VM(ticker_callback) = mp_const_none;
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_0(ticker_stop_obj, ticker_stop);

static const mp_rom_map_elem_t ticker_globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_ticker) },
    { MP_ROM_QSTR(MP_QSTR_start), MP_ROM_PTR(&ticker_start_obj) },
    { MP_ROM_QSTR(MP_QSTR_stop), MP_ROM_PTR(&ticker_stop_obj) },
};
static MP_DEFINE_CONST_DICT(ticker_globals, ticker_globals_table);

const mp_obj_module_t ticker_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&ticker_globals,
};

MP_REGISTER_MODULE(MP_QSTR_ticker, ticker_module);
MP_REGISTER_ROOT_POINTER(mp_obj_t ticker_callback);
