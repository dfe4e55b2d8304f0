// SPDX-License-Identifier: MIT
// machine.UART(1) to machine.UART(4). This file is compiled as part of extmod/machine_uart.c.
//
// Rings have a fixed size (uart.h), outside the Python heap, so that console text that is still on
// its way survives a soft reset. Nothing waits unless `timeout` says so.

#include "py/mperrno.h"
#include "py/mphal.h"

#include "boards/qemu_m4/uart.h"

#define MICROPY_PY_MACHINE_UART_CLASS_CONSTANTS

struct _machine_uart_obj_t {
    mp_obj_base_t base;
    uint8_t id;
    uint16_t timeout_ms; // to the first byte
    uint16_t timeout_char_ms; // between bytes
    uint32_t baudrate; // kept to be shown: the emulated wire has none
};

static machine_uart_obj_t uart_objects[UART_COUNT];

static void mp_machine_uart_print(const mp_print_t *print, mp_obj_t self_in, mp_print_kind_t kind) {
    (void)kind;
    machine_uart_obj_t *self = MP_OBJ_TO_PTR(self_in);
    mp_printf(print, "UART(%u, baudrate=%u, rxbuf=%u, txbuf=%u, timeout=%u, timeout_char=%u)",
        self->id, (unsigned int)self->baudrate, UART_RX_SIZE - 1, UART_TX_SIZE - 1,
        self->timeout_ms, self->timeout_char_ms);
}

static void mp_machine_uart_init_helper(machine_uart_obj_t *self, size_t n_args, const mp_obj_t *pos_args, mp_map_t *kw_args) {
    enum { ARG_baudrate, ARG_bits, ARG_parity, ARG_stop, ARG_timeout, ARG_timeout_char, ARG_rxbuf, ARG_txbuf };
    static const mp_arg_t allowed_args[] = {
        { MP_QSTR_baudrate, MP_ARG_INT, {.u_int = 115200} },
        { MP_QSTR_bits, MP_ARG_INT, {.u_int = 8} },
        { MP_QSTR_parity, MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE} },
        { MP_QSTR_stop, MP_ARG_INT, {.u_int = 1} },
        { MP_QSTR_timeout, MP_ARG_KW_ONLY | MP_ARG_INT, {.u_int = 0} },
        { MP_QSTR_timeout_char, MP_ARG_KW_ONLY | MP_ARG_INT, {.u_int = 0} },
        { MP_QSTR_rxbuf, MP_ARG_KW_ONLY | MP_ARG_INT, {.u_int = UART_RX_SIZE - 1} },
        { MP_QSTR_txbuf, MP_ARG_KW_ONLY | MP_ARG_INT, {.u_int = UART_TX_SIZE - 1} },
    };
    mp_arg_val_t args[MP_ARRAY_SIZE(allowed_args)];
    mp_arg_parse_all(n_args, pos_args, kw_args, MP_ARRAY_SIZE(allowed_args), allowed_args, args);

    if (args[ARG_bits].u_int != 8 || args[ARG_parity].u_obj != mp_const_none || args[ARG_stop].u_int != 1) {
        mp_raise_ValueError(MP_ERROR_TEXT("only 8N1"));
    }
    if (args[ARG_rxbuf].u_int >= UART_RX_SIZE || args[ARG_txbuf].u_int >= UART_TX_SIZE) {
        mp_raise_ValueError(MP_ERROR_TEXT("buffer too large"));
    }
    self->baudrate = (uint32_t)args[ARG_baudrate].u_int;
    self->timeout_ms = (uint16_t)args[ARG_timeout].u_int;
    self->timeout_char_ms = (uint16_t)args[ARG_timeout_char].u_int;
    uart_receive(self->id, true);
}

static mp_obj_t mp_machine_uart_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 1, MP_OBJ_FUN_ARGS_MAX, true);
    mp_int_t id = mp_obj_get_int(args[0]);
    if (id <= UART_REPL || id >= UART_COUNT) {
        mp_raise_msg_varg(&mp_type_ValueError, MP_ERROR_TEXT("UART(%d) doesn't exist"), (int)id);
    }
    machine_uart_obj_t *self = &uart_objects[id];
    self->base.type = type;
    self->id = (uint8_t)id;
    mp_map_t kw_args;
    mp_map_init_fixed_table(&kw_args, n_kw, args + n_args);
    mp_machine_uart_init_helper(self, n_args - 1, args + 1, &kw_args);
    return MP_OBJ_FROM_PTR(self);
}

static void mp_machine_uart_deinit(machine_uart_obj_t *self) {
    uart_receive(self->id, false);
}

static mp_int_t mp_machine_uart_any(machine_uart_obj_t *self) {
    return (mp_int_t)uart_rx_any(self->id);
}

static bool mp_machine_uart_txdone(machine_uart_obj_t *self) {
    return uart_tx_idle(self->id);
}

static int get_within(unsigned int id, uint32_t patience_ms) {
    uint32_t start = ticks_ms();
    for (;;) {
        int byte = uart_rx_get(id);
        if (byte >= 0 || ticks_ms() - start >= patience_ms) {
            return byte;
        }
        mp_event_wait_ms(1);
    }
}

static mp_uint_t mp_machine_uart_read(mp_obj_t self_in, void *buf_in, mp_uint_t size, int *errcode) {
    machine_uart_obj_t *self = MP_OBJ_TO_PTR(self_in);
    uint8_t *buf = buf_in;
    mp_uint_t done = 0;
    while (done < size) {
        mp_uint_t here = uart_rx_take(self->id, buf + done, size - done);
        done += here;
        if (here == 0) {
            int byte = get_within(self->id, done == 0 ? self->timeout_ms : self->timeout_char_ms);
            if (byte < 0) {
                break;
            }
            buf[done++] = (uint8_t)byte;
        }
    }
    if (done == 0 && size > 0) {
        *errcode = MP_EAGAIN;
        return MP_STREAM_ERROR;
    }
    return done;
}

static mp_uint_t mp_machine_uart_write(mp_obj_t self_in, const void *buf_in, mp_uint_t size, int *errcode) {
    machine_uart_obj_t *self = MP_OBJ_TO_PTR(self_in);
    const uint8_t *buf = buf_in;
    mp_uint_t done = uart_tx_put(self->id, buf, size);
    uint32_t moved = ticks_ms();
    while (done < size && ticks_ms() - moved < self->timeout_ms) {
        mp_event_wait_ms(1);
        mp_uint_t sent = uart_tx_put(self->id, buf + done, size - done);
        if (sent > 0) {
            moved = ticks_ms();
            done += sent;
        }
    }
    if (done == 0 && size > 0) {
        *errcode = MP_EAGAIN;
        return MP_STREAM_ERROR;
    }
    return done;
}

static mp_uint_t mp_machine_uart_ioctl(mp_obj_t self_in, mp_uint_t request, uintptr_t arg, int *errcode) {
    machine_uart_obj_t *self = MP_OBJ_TO_PTR(self_in);
    if (request == MP_STREAM_POLL) {
        mp_uint_t ready = 0;
        if ((arg & MP_STREAM_POLL_RD) && uart_rx_any(self->id) > 0) {
            ready |= MP_STREAM_POLL_RD;
        }
        if ((arg & MP_STREAM_POLL_WR) && uart_tx_room(self->id) > 0) {
            ready |= MP_STREAM_POLL_WR;
        }
        return ready;
    }
    if (request == MP_STREAM_FLUSH) {
        // As long as a full ring takes at the baud rate, plus what a busy host may need.
        uint32_t patience_ms = 1000 + UART_TX_SIZE * 10000u / (self->baudrate ? self->baudrate : 1);
        uint32_t start = ticks_ms();
        while (!uart_tx_idle(self->id)) {
            if (ticks_ms() - start > patience_ms) {
                *errcode = MP_ETIMEDOUT;
                return MP_STREAM_ERROR;
            }
            mp_event_wait_ms(1);
        }
        return 0;
    }
    *errcode = MP_EINVAL;
    return MP_STREAM_ERROR;
}
