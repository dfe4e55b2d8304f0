// SPDX-License-Identifier: MIT
// machine.WDT. This file is compiled as part of extmod/machine_wdt.c.

#include "boards/qemu_m4/watchdog.h"

#define TIMEOUT_MAX (100000) // ms: what 32 bits hold at the board's clock, with some room

struct _machine_wdt_obj_t {
    mp_obj_base_t base;
};

static machine_wdt_obj_t wdt = {{&machine_wdt_type}};

static machine_wdt_obj_t *mp_machine_wdt_make_new_instance(mp_int_t id, mp_int_t timeout_ms) {
    if (id != 0) {
        mp_raise_ValueError(MP_ERROR_TEXT("only WDT 0"));
    }
    if (timeout_ms < 1 || timeout_ms > TIMEOUT_MAX) {
        mp_raise_ValueError(MP_ERROR_TEXT("timeout out of range"));
    }
    watchdog_start((uint32_t)timeout_ms);
    return &wdt;
}

static void mp_machine_wdt_feed(machine_wdt_obj_t *self) {
    (void)self;
    watchdog_feed();
}
