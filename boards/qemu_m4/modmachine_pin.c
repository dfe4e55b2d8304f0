// SPDX-License-Identifier: MIT
// machine.Pin for the two lines of the I2C connector: Pin("SCL") and Pin("SDA"), for SoftI2C.

#include "py/mphal.h"
#include "py/runtime.h"

#include "boards/qemu_m4/modmachine.h"
#include "boards/qemu_m4/mps2.h"

struct _machine_pin_obj_t {
    mp_obj_base_t base;
    uint16_t name; // qstr
    uint8_t mask;
};

static const machine_pin_obj_t pins[] = {
    {{&machine_pin_type}, MP_QSTR_SCL, MPS2_I2C_SCL},
    {{&machine_pin_type}, MP_QSTR_SDA, MPS2_I2C_SDA},
};

mp_hal_pin_obj_t mp_hal_get_pin_obj(void *pin) {
    if (!mp_obj_is_type(pin, &machine_pin_type)) {
        mp_raise_TypeError(MP_ERROR_TEXT("expecting a Pin"));
    }
    return MP_OBJ_TO_PTR(pin);
}

uint32_t mp_hal_pin_name(mp_hal_pin_obj_t pin) {
    return pin->name;
}

int mp_hal_pin_read(mp_hal_pin_obj_t pin) {
    return (MPS2_I2C_READ & pin->mask) != 0;
}

void mp_hal_pin_od_low(mp_hal_pin_obj_t pin) {
    MPS2_I2C_CLEAR = pin->mask;
}

void mp_hal_pin_od_high(mp_hal_pin_obj_t pin) {
    MPS2_I2C_SET = pin->mask;
}

static void pin_print(const mp_print_t *print, mp_obj_t self_in, mp_print_kind_t kind) {
    (void)kind;
    const machine_pin_obj_t *self = MP_OBJ_TO_PTR(self_in);
    mp_printf(print, "Pin(%q)", self->name);
}

static mp_obj_t pin_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    (void)type;
    mp_arg_check_num(n_args, n_kw, 1, 1, false);
    qstr name = mp_obj_str_get_qstr(args[0]);
    for (size_t i = 0; i < MP_ARRAY_SIZE(pins); i++) {
        if (pins[i].name == name) {
            return MP_OBJ_FROM_PTR(&pins[i]);
        }
    }
    mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("Pin(%q) doesn't exist"), name);
}

// Pin.value([level])
static mp_obj_t pin_value(size_t n_args, const mp_obj_t *args) {
    const machine_pin_obj_t *self = MP_OBJ_TO_PTR(args[0]);
    if (n_args == 1) {
        return MP_OBJ_NEW_SMALL_INT(mp_hal_pin_read(self));
    }
    if (mp_obj_is_true(args[1])) {
        mp_hal_pin_od_high(self);
    } else {
        mp_hal_pin_od_low(self);
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(pin_value_obj, 1, 2, pin_value);

static const mp_rom_map_elem_t pin_locals_table[] = {
    { MP_ROM_QSTR(MP_QSTR_value), MP_ROM_PTR(&pin_value_obj) },
};
static MP_DEFINE_CONST_DICT(pin_locals, pin_locals_table);

MP_DEFINE_CONST_OBJ_TYPE(
    machine_pin_type,
    MP_QSTR_Pin,
    MP_TYPE_FLAG_NONE,
    make_new, pin_make_new,
    print, pin_print,
    locals_dict, &pin_locals
    );
