// SPDX-License-Identifier: MIT
// Functions and names of module machine. This file is compiled as part of extmod/modmachine.c.

#include <string.h>

#include "py/mphal.h"

#include "boards/qemu_m4/modmachine.h"
#include "boards/qemu_m4/moment.h"
#include "boards/qemu_m4/reset.h"
#include "boards/qemu_m4/semihost.h"

#define MICROPY_PY_MACHINE_EXTRA_GLOBALS \
    { MP_ROM_QSTR(MP_QSTR_Pin), MP_ROM_PTR(&machine_pin_type) }, \
    { MP_ROM_QSTR(MP_QSTR_Timer), MP_ROM_PTR(&qemu_timer_type) }, \
    { MP_ROM_QSTR(MP_QSTR_SDCard), MP_ROM_PTR(&qemu_sdcard_type) }, \
    { MP_ROM_QSTR(MP_QSTR_Flash), MP_ROM_PTR(&qemu_flash_type) }, \
    { MP_ROM_QSTR(MP_QSTR_kept), MP_ROM_PTR(&machine_kept_obj) }, \
    { MP_ROM_QSTR(MP_QSTR_argument), MP_ROM_PTR(&machine_argument_obj) }, \
    { MP_ROM_QSTR(MP_QSTR_power_off_after), MP_ROM_PTR(&moment_power_off_after_obj) }, \
    { MP_ROM_QSTR(MP_QSTR_ctrl_c_after), MP_ROM_PTR(&moment_ctrl_c_after_obj) }, \
    { MP_ROM_QSTR(MP_QSTR_SOFT_RESET), MP_ROM_INT(RESET_SOFT) }, \
    { MP_ROM_QSTR(MP_QSTR_PWRON_RESET), MP_ROM_INT(RESET_POWER_ON) }, \
    { MP_ROM_QSTR(MP_QSTR_HARD_RESET), MP_ROM_INT(RESET_HARD) }, \
    { MP_ROM_QSTR(MP_QSTR_WDT_RESET), MP_ROM_INT(RESET_WATCHDOG) }, \
    { MP_ROM_QSTR(MP_QSTR_FAULT_RESET), MP_ROM_INT(RESET_FAULT) }, \

// kept([word]): the word that outlives every reset, below 2**30; and a new one for the next start.
static mp_obj_t machine_kept(size_t n_args, const mp_obj_t *args) {
    uint32_t word = reset_kept_word();
    if (n_args > 0) {
        reset_keep_word((uint32_t)mp_obj_get_int(args[0]) & 0x3fffffffu);
    }
    return MP_OBJ_NEW_SMALL_INT(word);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(machine_kept_obj, 0, 1, machine_kept);

// argument(text): whether the host has started this machine with it: a switch on the board.
static mp_obj_t machine_argument(mp_obj_t text_in) {
    char arguments[1024];
    const char *text = mp_obj_str_get_str(text_in);
    const char *found = semihost_arguments(arguments, sizeof(arguments)) == 0 ? strstr(arguments, text) : NULL;
    return mp_obj_new_bool(found != NULL && found > arguments && found[-1] == ' '
        && (found[strlen(text)] == ' ' || found[strlen(text)] == 0));
}
static MP_DEFINE_CONST_FUN_OBJ_1(machine_argument_obj, machine_argument);

static void mp_machine_idle(void) {
    mp_event_wait_indefinite();
}

__attribute__((noreturn)) static void mp_machine_reset(void) {
    reset_now(RESET_HARD);
}

static mp_int_t mp_machine_reset_cause(void) {
    return reset_cause();
}

// What the host has called this machine in its arguments, 1 to 8 characters behind `uid=`; without,
// all of them answer with the board's name.
static mp_obj_t mp_machine_unique_id(void) {
    char arguments[1024]; // what the card's path may need
    const char *uid = "qemu_m4";
    if (semihost_arguments(arguments, sizeof(arguments)) == 0) {
        const char *found = strstr(arguments, " uid=");
        uid = found != NULL ? found + 5 : uid;
    }
    size_t size = 0;
    while (size < 8 && uid[size] > ' ') {
        size++;
    }
    return mp_obj_new_bytes((const byte *)uid, size);
}

static mp_obj_t mp_machine_get_freq(void) {
    return MP_OBJ_NEW_SMALL_INT(MPS2_CLOCK_HZ);
}

static void mp_machine_set_freq(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    (void)args;
    mp_raise_NotImplementedError(MP_ERROR_TEXT("frequency is fixed"));
}

static void mp_machine_lightsleep(size_t n_args, const mp_obj_t *args) {
    if (n_args == 0) {
        wait_for_interrupt();
    } else {
        mp_hal_delay_ms((mp_uint_t)mp_obj_get_int(args[0]));
    }
}

__attribute__((noreturn)) static void mp_machine_deepsleep(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    (void)args;
    mp_raise_NotImplementedError(MP_ERROR_TEXT("no deep sleep"));
}
