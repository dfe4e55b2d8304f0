// SPDX-License-Identifier: MIT
// What in_flash.py writes behind the frozen modules, and in_flash.c uses.
//
// MicroPython makes an object in RAM for each function of a frozen module, 16 bytes, and a table
// for each class. Of functions whose defaults are plain constants, and of classes that hold nothing
// but such functions, all is known when the firmware is built: they are laid down in flash.
#ifndef HSX_FROZEN_IN_FLASH_H
#define HSX_FROZEN_IN_FLASH_H

#include "py/bc.h"
#include "py/obj.h"
#include "py/objfun.h"

// A function as mp_obj_fun_bc_t has it, with the defaults of its positional arguments.
typedef struct {
    mp_obj_base_t base;
    const mp_module_context_t *context;
    struct _mp_raw_code_t *const *children;
    const byte *bytecode;
    mp_rom_obj_t defaults[];
} hsx_flash_function_t;

#if MICROPY_PY_SYS_SETTRACE
#error "functions have one more member with MICROPY_PY_SYS_SETTRACE: build with HSX_IN_FLASH=0"
#endif
typedef char hsx_flash_function_is_mp_obj_fun_bc[
    sizeof(hsx_flash_function_t) == sizeof(mp_obj_fun_bc_t)
    && offsetof(hsx_flash_function_t, bytecode) == offsetof(mp_obj_fun_bc_t, bytecode) ? 1 : -1];

// A property as MicroPython's objproperty.c has it: get, set, delete.
typedef struct {
    mp_obj_base_t base;
    mp_rom_obj_t proxy[3];
} hsx_flash_property_t;

// A frozen module: its functions, and the tables of its classes.
typedef struct {
    const hsx_flash_function_t *const *functions;
    const mp_obj_dict_t *const *classes;
    uint16_t function_count;
    uint16_t class_count;
} hsx_flash_module_t;

// In the order of mp_frozen_names. The contexts are in RAM, at places that functions in flash can
// name; one is free while it has no globals.
extern const hsx_flash_module_t hsx_flash_modules[];
extern mp_module_context_t hsx_flash_contexts[];
extern const size_t hsx_flash_count;

#endif
