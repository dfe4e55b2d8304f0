// SPDX-License-Identifier: MIT
// Hands MicroPython the functions, classes and tables that need no RAM, or less.
//
// The linker's --wrap leads the calls of the real functions here, so that MicroPython itself stays
// as it is. What is not known here goes on to the real ones.

#include <string.h>

#include "py/emitglue.h"
#include "py/gc.h"
#include "py/objmodule.h"
#include "py/objtuple.h"
#include "py/objtype.h"
#include "py/runtime.h"

#include "in_flash.h"

extern const char mp_frozen_names[];

void __real_mp_init(void);
void __wrap_mp_init(void);
void __real_gc_collect_start(void);
void __wrap_gc_collect_start(void);
mp_obj_t __real_mp_obj_new_module(qstr name);
mp_obj_t __wrap_mp_obj_new_module(qstr name);
mp_obj_t __real_mp_make_function_from_proto_fun(
    mp_proto_fun_t proto_fun, const mp_module_context_t *context, const mp_obj_t *def_args);
mp_obj_t __wrap_mp_make_function_from_proto_fun(
    mp_proto_fun_t proto_fun, const mp_module_context_t *context, const mp_obj_t *def_args);

static bool unsettled; // whether a module has come since settle()

// ---- modules ----------------------------------------------------------------------------------

// A new life of Python: nothing is left of the modules of the one before.
void __wrap_mp_init(void) {
    memset(hsx_flash_contexts, 0, hsx_flash_count * sizeof(*hsx_flash_contexts));
    __real_mp_init();
}

// Functions in flash do not lead the collector to their module, so every module stays.
void __wrap_gc_collect_start(void) {
    __real_gc_collect_start();
    gc_collect_root((void **)hsx_flash_contexts,
        hsx_flash_count * sizeof(*hsx_flash_contexts) / sizeof(void *));
}

// Whether `file` ("a/b.py", "a/b/__init__.py") holds the module `name` ("a.b").
static bool holds(const char *file, const char *name) {
    for (; *name; name++, file++) {
        if (*file != (*name == '.' ? '/' : *name)) {
            return false;
        }
    }
    return strcmp(file, ".py") == 0 || strcmp(file, "/__init__.py") == 0;
}

// Index of a module among the frozen ones; hsx_flash_count for any other.
static size_t find(const char *name) {
    const char *file = mp_frozen_names;
    for (size_t i = 0; i < hsx_flash_count; i++) {
        if (holds(file, name)) {
            return i;
        }
        file += strlen(file) + 1;
    }
    return hsx_flash_count;
}

// A module that is imported a second time, while the first one may still be in use, gets all of
// its own in RAM.
mp_obj_t __wrap_mp_obj_new_module(qstr name) {
    mp_map_t *loaded = &MP_STATE_VM(mp_loaded_modules_dict).map;
    size_t i = find(qstr_str(name));
    if (i == hsx_flash_count || hsx_flash_contexts[i].module.globals != NULL
        || mp_map_lookup(loaded, MP_OBJ_NEW_QSTR(name), MP_MAP_LOOKUP) != NULL) {
        return __real_mp_obj_new_module(name);
    }
    unsettled = true;
    mp_module_context_t *context = &hsx_flash_contexts[i];
    mp_obj_dict_t *globals = MP_OBJ_TO_PTR(mp_obj_new_dict(MICROPY_MODULE_DICT_SIZE));
    mp_obj_dict_store(MP_OBJ_FROM_PTR(globals), MP_OBJ_NEW_QSTR(MP_QSTR___name__), MP_OBJ_NEW_QSTR(name));
    mp_map_lookup(loaded, MP_OBJ_NEW_QSTR(name), MP_MAP_LOOKUP_ADD_IF_NOT_FOUND)->value =
        MP_OBJ_FROM_PTR(context);
    context->module.base.type = &mp_type_module;
    context->module.globals = globals;
    return MP_OBJ_FROM_PTR(context);
}

// ---- functions --------------------------------------------------------------------------------

// Whether a function in flash has these defaults, bit by bit.
static bool same_defaults(const hsx_flash_function_t *function, const mp_obj_t *def_args) {
    const byte *ip = function->bytecode;
    MP_BC_PRELUDE_SIG_DECODE(ip);
    if (def_args == NULL || n_def_pos_args == 0) {
        return def_args == NULL && n_def_pos_args == 0;
    }
    if (def_args[0] == MP_OBJ_NULL || def_args[1] != MP_OBJ_NULL) {
        return false;
    }
    const mp_obj_tuple_t *given = MP_OBJ_TO_PTR(def_args[0]);
    return given->len == n_def_pos_args
           && memcmp(given->items, function->defaults, given->len * sizeof(mp_obj_t)) == 0;
}

mp_obj_t __wrap_mp_make_function_from_proto_fun(
    mp_proto_fun_t proto_fun, const mp_module_context_t *context, const mp_obj_t *def_args) {
    size_t i = (size_t)(context - hsx_flash_contexts);
    if (context >= hsx_flash_contexts && i < hsx_flash_count) {
        const hsx_flash_module_t *module = &hsx_flash_modules[i];
        const byte *bytecode = mp_proto_fun_is_bytecode(proto_fun)
            ? proto_fun : ((const mp_raw_code_t *)proto_fun)->fun_data;
        for (size_t n = 0; n < module->function_count; n++) {
            const hsx_flash_function_t *function = module->functions[n];
            if (function->bytecode == bytecode) {
                if (same_defaults(function, def_args)) {
                    return MP_OBJ_FROM_PTR(function);
                }
                break;
            }
        }
    }
    return __real_mp_make_function_from_proto_fun(proto_fun, context, def_args);
}

// ---- tables -----------------------------------------------------------------------------------

// A name that a frozen module or class has no more use for once it is made.
static bool is_spent(const mp_map_elem_t *slot) {
    if (!mp_obj_is_qstr(slot->key)) {
        return false;
    }
    switch (MP_OBJ_QSTR_VALUE(slot->key)) {
        case MP_QSTR_TYPE_CHECKING:
        case MP_QSTR___file__:
        case MP_QSTR___module__:
        case MP_QSTR___qualname__:
            return true;
        case MP_QSTR_const:
            return slot->value == MP_OBJ_FROM_PTR(&mp_identity_obj);
        default:
            return false;
    }
}

// Gives a hash table the size that its content needs, with some room, as a full one is slow.
static void fit(mp_map_t *map) {
    size_t used = 0;
    for (size_t i = 0; i < map->alloc; i++) {
        used += mp_map_slot_is_filled(map, i) && !is_spent(&map->table[i]);
    }
    size_t alloc = (used + used / 4 + 2) & ~(size_t)1; // two slots are one block of the heap
    if (map->is_fixed || map->is_ordered || alloc >= map->alloc) {
        return;
    }
    mp_map_elem_t *table = m_new_maybe(mp_map_elem_t, alloc);
    if (table == NULL) {
        return;
    }
    memset(table, 0, alloc * sizeof(*table));
    mp_map_t old = *map;
    map->used = 0;
    map->alloc = alloc;
    map->table = table;
    for (size_t i = 0; i < old.alloc; i++) {
        if (mp_map_slot_is_filled(&old, i) && !is_spent(&old.table[i])) {
            mp_map_lookup(map, old.table[i].key, MP_MAP_LOOKUP_ADD_IF_NOT_FOUND)->value = old.table[i].value;
        }
    }
    m_del(mp_map_elem_t, old.table, old.alloc);
}

// Whether two members of a class do the same; a property is made anew each time.
static bool same_member(mp_obj_t flash, mp_obj_t value) {
    if (flash == value || !mp_obj_is_type(flash, &mp_type_property)
        || !mp_obj_is_type(value, &mp_type_property)) {
        return flash == value;
    }
    return memcmp(mp_obj_property_get(flash), mp_obj_property_get(value), 3 * sizeof(mp_obj_t)) == 0;
}

// Whether a table in flash has all that a class has.
static bool same_content(const mp_map_t *flash, const mp_map_t *map) {
    size_t count = 0;
    for (size_t i = 0; i < map->alloc; i++) {
        if (mp_map_slot_is_filled(map, i) && !is_spent(&map->table[i])) {
            const mp_map_elem_t *slot = mp_map_lookup((mp_map_t *)flash, map->table[i].key, MP_MAP_LOOKUP);
            if (slot == NULL || !same_member(slot->value, map->table[i].value)) {
                return false;
            }
            count++;
        }
    }
    return count == flash->used;
}

static void settle_class(mp_obj_type_t *type, const hsx_flash_module_t *module) {
    mp_obj_dict_t *locals = MP_OBJ_TYPE_GET_SLOT_OR_NULL(type, locals_dict);
    if (locals == NULL || locals->map.is_fixed) {
        return;
    }
    for (size_t i = 0; i < module->class_count; i++) {
        if (same_content(&module->classes[i]->map, &locals->map)) {
            MP_OBJ_TYPE_SET_SLOT(type, locals_dict, (mp_obj_dict_t *)module->classes[i], 9);
            return;
        }
    }
    fit(&locals->map);
}

// settle(): makes the tables of the modules that are there as small as they can be. What a module
// gets later is added as ever. From the main program only: what a callback interrupts may be an
// import, and the names that are spent then are not spent yet.
static mp_obj_t settle(void) {
    if (!unsettled) {
        return mp_const_none;
    }
    unsettled = false;
    for (size_t i = 0; i < hsx_flash_count; i++) {
        mp_obj_dict_t *globals = hsx_flash_contexts[i].module.globals;
        if (globals == NULL) {
            continue;
        }
        for (size_t n = 0; n < globals->map.alloc; n++) {
            mp_obj_type_t *type = MP_OBJ_TO_PTR(globals->map.table[n].value);
            if (mp_map_slot_is_filled(&globals->map, n)
                && mp_obj_is_type(MP_OBJ_FROM_PTR(type), &mp_type_type) && mp_obj_is_instance_type(type)) {
                settle_class(type, &hsx_flash_modules[i]);
            }
        }
        fit(&globals->map);
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_0(settle_obj, settle);

static const mp_rom_map_elem_t globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_hsxflash) },
    { MP_ROM_QSTR(MP_QSTR_settle), MP_ROM_PTR(&settle_obj) },
};
static MP_DEFINE_CONST_DICT(module_globals, globals_table);

const mp_obj_module_t hsx_flash_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&module_globals,
};
MP_REGISTER_MODULE(MP_QSTR_hsxflash, hsx_flash_module);
