// SPDX-License-Identifier: MIT
//
// How a binding is laid down in firmware: names are numbers that the compiler knows, so tables and
// types are constants. `METHODS` and `CONTENT` are lists that take what to make of each item.
#ifndef HSX_BINDING_H
#define HSX_BINDING_H

#include "py/obj.h"
#include "py/objarray.h"
#include "py/runtime.h"

#define HSX_INTERRUPT MICROPY_KBD_EXCEPTION  // native modules have no access to the scheduler

#define NAMES_CONST static const  // a constant with names in it

#define MEMORYVIEW MP_OBJ_FROM_PTR(&mp_type_memoryview)

#define ITEM_OBJECT(name, object) {MP_ROM_QSTR(name), MP_ROM_PTR(&object)},
#define ITEM_NUMBER(name, number) {MP_ROM_QSTR(name), MP_ROM_INT(number)},

#define DEFINE_TYPE(type, name, new, METHODS) \
    static const mp_rom_map_elem_t type##_table[] = {METHODS(ITEM_OBJECT)}; \
    static MP_DEFINE_CONST_DICT(type##_dict, type##_table); \
    static MP_DEFINE_CONST_OBJ_TYPE( \
        type, name, MP_TYPE_FLAG_NONE, make_new, new, locals_dict, &type##_dict);

#define DEFINE_MODULE(name, CONTENT) \
    static const mp_rom_map_elem_t module_table[] = { \
        {MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(name)}, \
        CONTENT(ITEM_OBJECT, ITEM_OBJECT, ITEM_NUMBER)}; \
    static MP_DEFINE_CONST_DICT(module_dict, module_table); \
    const mp_obj_module_t hsxvm_user_cmodule = { \
        .base = {&mp_type_module}, \
        .globals = (mp_obj_dict_t *)&module_dict, \
    }; \
    MP_REGISTER_MODULE(name, hsxvm_user_cmodule);

#endif
