// SPDX-License-Identifier: MIT
//
// Module `hsxed25519`: the check of signatures apart from `hsxvm`, because a .mpy file costs RAM for
// all that is in it, and most nodes check none.

#include "binding.h"

extern const mp_obj_fun_builtin_fixed_t hsx_ed25519_verify_obj;  // of signatures.c

#define MODULE_CONTENT(TYPE, OBJECT, NUMBER) OBJECT(MP_QSTR_ed25519_verify, hsx_ed25519_verify_obj)

DEFINE_MODULE(MP_QSTR_hsxed25519, MODULE_CONTENT)
