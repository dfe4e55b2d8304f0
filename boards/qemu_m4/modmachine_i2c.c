// SPDX-License-Identifier: MIT
// machine.I2C(0) on the board's SBCon block: two open-drain lines that software moves. The emulated
// devices answer at once, so there is nothing to wait for between edges.

#include "py/mperrno.h"
#include "py/runtime.h"
#include "extmod/modmachine.h"

#include "boards/qemu_m4/mps2.h"

typedef struct {
    mp_obj_base_t base;
} i2c_obj_t;

static const i2c_obj_t i2c_object = {{&machine_i2c_type}};

static void send_start(void) {
    // From an idle bus, and from within a transfer, where it is a repeated start.
    MPS2_I2C_SET = MPS2_I2C_SDA;
    MPS2_I2C_SET = MPS2_I2C_SCL;
    MPS2_I2C_CLEAR = MPS2_I2C_SDA;
    MPS2_I2C_CLEAR = MPS2_I2C_SCL;
}

static void send_stop(void) {
    MPS2_I2C_CLEAR = MPS2_I2C_SDA;
    MPS2_I2C_SET = MPS2_I2C_SCL;
    MPS2_I2C_SET = MPS2_I2C_SDA;
}

static void send_bit(bool bit) {
    if (bit) {
        MPS2_I2C_SET = MPS2_I2C_SDA;
    } else {
        MPS2_I2C_CLEAR = MPS2_I2C_SDA;
    }
    MPS2_I2C_SET = MPS2_I2C_SCL;
    MPS2_I2C_CLEAR = MPS2_I2C_SCL;
}

static bool get_bit(void) {
    MPS2_I2C_SET = MPS2_I2C_SDA;
    MPS2_I2C_SET = MPS2_I2C_SCL;
    bool bit = (MPS2_I2C_READ & MPS2_I2C_SDA) != 0;
    MPS2_I2C_CLEAR = MPS2_I2C_SCL;
    return bit;
}

// True if the device acknowledged.
static bool send_byte(uint8_t byte) {
    for (int i = 7; i >= 0; i--) {
        send_bit(byte >> i & 1);
    }
    return !get_bit();
}

static uint8_t get_byte(bool last) {
    uint8_t byte = 0;
    for (int i = 0; i < 8; i++) {
        byte = (uint8_t)(byte << 1 | get_bit());
    }
    send_bit(last);
    return byte;
}

// 0 for a read, the number of acknowledged bytes for a write, -ENODEV if nobody answers.
static int i2c_transfer(mp_obj_base_t *self, uint16_t addr, size_t n, mp_machine_i2c_buf_t *bufs, unsigned int flags) {
    (void)self;
    bool reading = flags & MP_MACHINE_I2C_FLAG_READ;
    int acknowledged = 0;
    send_start();
    if (!send_byte((uint8_t)(addr << 1 | reading))) {
        send_stop();
        return -MP_ENODEV;
    }
    for (; n > 0; n--, bufs++) {
        for (size_t i = 0; i < bufs->len; i++) {
            if (reading) {
                bufs->buf[i] = get_byte(n == 1 && i == bufs->len - 1);
            } else if (send_byte(bufs->buf[i])) {
                acknowledged++;
            } else {
                send_stop();
                return acknowledged;
            }
        }
    }
    if (flags & MP_MACHINE_I2C_FLAG_STOP) {
        send_stop();
    }
    return acknowledged;
}

static void i2c_init(mp_obj_base_t *self, size_t n_args, const mp_obj_t *pos_args, mp_map_t *kw_args) {
    (void)self;
    enum { ARG_freq, ARG_timeout };
    static const mp_arg_t allowed_args[] = {
        { MP_QSTR_freq, MP_ARG_KW_ONLY | MP_ARG_INT, {.u_int = 400000} },
        { MP_QSTR_timeout, MP_ARG_KW_ONLY | MP_ARG_INT, {.u_int = 50000} },
    };
    // Taken and not used: the lines have no speed here, and the devices never stretch the clock.
    mp_arg_val_t args[MP_ARRAY_SIZE(allowed_args)];
    mp_arg_parse_all(n_args, pos_args, kw_args, MP_ARRAY_SIZE(allowed_args), allowed_args, args);
    send_stop();
}

static mp_obj_t i2c_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    (void)type;
    mp_arg_check_num(n_args, n_kw, 1, 1, true);
    mp_int_t id = mp_obj_get_int(args[0]);
    if (id != 0) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("I2C(%d) doesn't exist"), (int)id);
    }
    mp_map_t kw_args;
    mp_map_init_fixed_table(&kw_args, n_kw, args + n_args);
    i2c_init((mp_obj_base_t *)&i2c_object, 0, args, &kw_args);
    return MP_OBJ_FROM_PTR(&i2c_object);
}

static void i2c_print(const mp_print_t *print, mp_obj_t self_in, mp_print_kind_t kind) {
    (void)self_in;
    (void)kind;
    mp_print_str(print, "I2C(0)");
}

static const mp_machine_i2c_p_t i2c_protocol = {
    .init = i2c_init,
    .transfer = i2c_transfer,
};

MP_DEFINE_CONST_OBJ_TYPE(
    machine_i2c_type,
    MP_QSTR_I2C,
    MP_TYPE_FLAG_NONE,
    make_new, i2c_make_new,
    print, i2c_print,
    protocol, &i2c_protocol,
    locals_dict, &mp_machine_i2c_locals_dict
    );
