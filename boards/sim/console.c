// SPDX-License-Identifier: MIT
// Module console: stderr as a stream whose writes never wait. What a full pipe would not take is
// lost: a wait inside a poll would stop the apps, and Ctrl-C could tear the poll apart.

#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include "py/runtime.h"

// write(text): returns nothing.
static mp_obj_t console_write(mp_obj_t text) {
    mp_buffer_info_t buf;
    mp_get_buffer_raise(text, &buf, MP_BUFFER_READ);
    struct pollfd room = { .fd = STDERR_FILENO, .events = POLLOUT };
    const char *at = buf.buf;
    size_t left = buf.len;
    // A pipe that has room takes PIPE_BUF bytes at once.
    while (left > 0 && poll(&room, 1, 0) == 1 && (room.revents & POLLOUT) != 0) {
        ssize_t done = write(STDERR_FILENO, at, left < PIPE_BUF ? left : PIPE_BUF);
        if (done <= 0) {
            break;
        }
        at += done;
        left -= (size_t)done;
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(console_write_obj, console_write);

static const mp_rom_map_elem_t console_globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_console) },
    { MP_ROM_QSTR(MP_QSTR_write), MP_ROM_PTR(&console_write_obj) },
};
static MP_DEFINE_CONST_DICT(console_globals, console_globals_table);

const mp_obj_module_t console_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&console_globals,
};

MP_REGISTER_MODULE(MP_QSTR_console, console_module);
