// SPDX-License-Identifier: MIT
//
// How a binding is laid down in a .mpy file: names get their numbers at import, so tables and types
// are filled then. `METHODS` and `CONTENT` are lists that take what to make of each item.
//
// The loader knows read-only data and zeroed data. Zeroed data must not be static: it is reached
// through the table of global symbols (MicroPython, docs/develop/natmod.rst).
#ifndef HSX_BINDING_H
#define HSX_BINDING_H

#include "py/dynruntime.h"

#include "py/objarray.h"

#define NAMES_CONST const  // a constant with names in it: made where it is used

// By name, as MicroPython hands .mpy files nothing else to find these with.
#define MEMORYVIEW mp_load_global(MP_QSTR_memoryview)

#define COUNT(name, value) +1
#define FILL_OBJECT(name, object) \
    *slot++ = (mp_map_elem_t){MP_OBJ_NEW_QSTR(name), MP_OBJ_FROM_PTR(&object)};
#define STORE_TYPE(name, type) type##_fill(); STORE_OBJECT(name, type)
#define STORE_OBJECT(name, object) mp_store_global(name, MP_OBJ_FROM_PTR(&object));
#define STORE_NUMBER(name, number) mp_store_global(name, MP_OBJ_NEW_SMALL_INT(number));

#define DEFINE_TYPE(self, name_, new, METHODS) \
    mp_obj_full_type_t self; \
    mp_map_elem_t self##_table[0 METHODS(COUNT)]; \
    static MP_DEFINE_CONST_DICT(self##_dict, self##_table); \
    static void self##_fill(void) { \
        mp_map_elem_t *slot = self##_table; \
        METHODS(FILL_OBJECT) \
        self.base.type = &mp_type_type; \
        self.name = name_; \
        MP_OBJ_TYPE_SET_SLOT(&self, make_new, new, 0); \
        MP_OBJ_TYPE_SET_SLOT(&self, locals_dict, (void *)&self##_dict, 1); \
    }

#define DEFINE_MODULE(name, CONTENT) \
    mp_obj_t mpy_init(mp_obj_fun_bc_t *self, size_t n_args, size_t n_kw, mp_obj_t *args); \
    mp_obj_t mpy_init(mp_obj_fun_bc_t *self, size_t n_args, size_t n_kw, mp_obj_t *args) { \
        (void)n_args, (void)n_kw, (void)args; \
        MP_DYNRUNTIME_INIT_ENTRY \
        mp_store_global(MP_QSTR___name__, MP_OBJ_NEW_QSTR(name)); \
        CONTENT(STORE_TYPE, STORE_OBJECT, STORE_NUMBER) \
        MP_DYNRUNTIME_INIT_EXIT \
    }

#endif
