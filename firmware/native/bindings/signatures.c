// SPDX-License-Identifier: MIT
//
// The check of signatures for MicroPython, as hsxvm.pyi describes it. In firmware it is part of
// `hsxvm`; a .mpy file of its own makes it module `hsxed25519`.

#include "binding.h"

#include "ed25519.h"

static mp_obj_t verify(mp_obj_t public_key, mp_obj_t message, mp_obj_t signature) {
    mp_buffer_info_t key;
    mp_buffer_info_t text;
    mp_buffer_info_t mark;
    mp_get_buffer_raise(public_key, &key, MP_BUFFER_READ);
    mp_get_buffer_raise(message, &text, MP_BUFFER_READ);
    mp_get_buffer_raise(signature, &mark, MP_BUFFER_READ);
    return mp_obj_new_bool(
        hsx_ed25519_verify(key.buf, key.len, text.buf, text.len, mark.buf, mark.len));
}
MP_DEFINE_CONST_FUN_OBJ_3(hsx_ed25519_verify_obj, verify);
