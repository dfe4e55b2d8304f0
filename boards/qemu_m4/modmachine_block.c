// SPDX-License-Identifier: MIT
// machine.SDCard() and machine.Flash(): host files, named by the machine's arguments `flash=PATH` and
// `sd=PATH`, the last ones and in this order because a path may contain spaces. Blocks of 512 bytes.
// The card is in its slot, or the flash soldered on, while the file is there and not empty.

#include <string.h>

#include "py/mperrno.h"
#include "py/runtime.h"
#include "extmod/vfs.h"

#include "boards/qemu_m4/modmachine.h"
#include "boards/qemu_m4/reset.h"
#include "boards/qemu_m4/semihost.h"

#define BLOCK_SIZE (512)
#define ARGUMENTS_SIZE (1024)

typedef struct {
    mp_obj_base_t base;
    const char *argument; // in front of the path
    const char *end; // begins what may follow the path
    int handle; // -1: not open
    uint32_t blocks;
} block_obj_t;

static block_obj_t devices[RESET_HANDLES] = {
    {{&qemu_sdcard_type}, " sd=", "\n", -1, 0},
    {{&qemu_flash_type}, " flash=", " sd=", -1, 0},
};

static void device_close(block_obj_t *self) {
    // A hard reset forgets this object and not the host's open file.
    unsigned int place = (unsigned int)(self - devices);
    if (reset_kept_handle(place) != 0) {
        semihost_close((int)reset_kept_handle(place));
        reset_keep_handle(place, 0);
    }
    self->handle = -1;
    self->blocks = 0;
}

// Length in bytes of the file, then open as `handle`; -1 if there is none.
static int file_open(const block_obj_t *self, int *handle) {
    char arguments[ARGUMENTS_SIZE];
    if (semihost_arguments(arguments, sizeof(arguments)) != 0) {
        return -1;
    }
    char *path = strstr(arguments, self->argument);
    if (path == NULL) {
        return -1;
    }
    path += strlen(self->argument);
    char *end = strstr(path, self->end);
    if (end != NULL) {
        *end = 0;
    }
    *handle = semihost_open(path, SEMIHOST_UPDATE);
    if (*handle == -1) {
        *handle = semihost_open(path, SEMIHOST_READ); // as with a card's write-protect tab set
    }
    if (*handle == -1) {
        return -1;
    }
    int length = semihost_length(*handle);
    if (length <= 0) {
        semihost_close(*handle);
        return -1;
    }
    return length;
}

static void device_open(block_obj_t *self) {
    device_close(self);
    int handle;
    int length = file_open(self, &handle);
    if (length < 0) {
        mp_raise_OSError(MP_ENODEV);
    }
    reset_keep_handle((unsigned int)(self - devices), (uint32_t)handle);
    self->handle = handle;
    self->blocks = (uint32_t)length / BLOCK_SIZE;
}

static mp_obj_t block_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    (void)args;
    mp_arg_check_num(n_args, n_kw, 0, 0, false);
    block_obj_t *self = &devices[type == &qemu_flash_type];
    if (self->handle == -1) {
        device_open(self);
    }
    return MP_OBJ_FROM_PTR(self);
}

// Checks a request of whole blocks; returns its byte offset.
static uint32_t checked(const block_obj_t *self, mp_obj_t block_in, size_t len) {
    if (self->handle == -1) {
        mp_raise_OSError(MP_ENODEV);
    }
    mp_int_t block = mp_obj_get_int(block_in);
    size_t count = len / BLOCK_SIZE;
    if (block < 0 || len % BLOCK_SIZE != 0) {
        mp_raise_OSError(MP_EINVAL);
    }
    if ((uint32_t)block > self->blocks || count > self->blocks - (uint32_t)block) {
        mp_raise_OSError(MP_EIO);
    }
    return (uint32_t)block * BLOCK_SIZE;
}

// readblocks(block, buf)
static mp_obj_t block_readblocks(mp_obj_t self_in, mp_obj_t block, mp_obj_t buf) {
    block_obj_t *self = MP_OBJ_TO_PTR(self_in);
    mp_buffer_info_t info;
    mp_get_buffer_raise(buf, &info, MP_BUFFER_WRITE);
    uint32_t offset = checked(self, block, info.len);
    if (semihost_read(self->handle, offset, info.buf, info.len) != 0) {
        mp_raise_OSError(MP_EIO);
    }
    return MP_OBJ_NEW_SMALL_INT(0);
}
static MP_DEFINE_CONST_FUN_OBJ_3(block_readblocks_obj, block_readblocks);

// writeblocks(block, buf)
static mp_obj_t block_writeblocks(mp_obj_t self_in, mp_obj_t block, mp_obj_t buf) {
    block_obj_t *self = MP_OBJ_TO_PTR(self_in);
    mp_buffer_info_t info;
    mp_get_buffer_raise(buf, &info, MP_BUFFER_READ);
    uint32_t offset = checked(self, block, info.len);
    if (semihost_write(self->handle, offset, info.buf, info.len) != 0) {
        mp_raise_OSError(MP_EIO);
    }
    return MP_OBJ_NEW_SMALL_INT(0);
}
static MP_DEFINE_CONST_FUN_OBJ_3(block_writeblocks_obj, block_writeblocks);

// ioctl(op, arg)
static mp_obj_t block_ioctl(mp_obj_t self_in, mp_obj_t op, mp_obj_t arg) {
    block_obj_t *self = MP_OBJ_TO_PTR(self_in);
    (void)arg;
    switch (mp_obj_get_int(op)) {
        case MP_BLOCKDEV_IOCTL_INIT:
            if (self->handle == -1) {
                device_open(self);
            }
            return MP_OBJ_NEW_SMALL_INT(0);
        case MP_BLOCKDEV_IOCTL_DEINIT:
            device_close(self);
            return MP_OBJ_NEW_SMALL_INT(0);
        case MP_BLOCKDEV_IOCTL_SYNC:
            return MP_OBJ_NEW_SMALL_INT(0);
        case MP_BLOCKDEV_IOCTL_BLOCK_COUNT:
            return mp_obj_new_int_from_uint(self->blocks);
        case MP_BLOCKDEV_IOCTL_BLOCK_SIZE:
            return MP_OBJ_NEW_SMALL_INT(BLOCK_SIZE);
        default:
            return mp_const_none;
    }
}
static MP_DEFINE_CONST_FUN_OBJ_3(block_ioctl_obj, block_ioctl);

// SDCard.present(): as the switch in a slot tells it, whatever was opened before.
static mp_obj_t sdcard_present(void) {
    int handle;
    if (file_open(&devices[0], &handle) < 0) {
        return mp_const_false;
    }
    semihost_close(handle);
    return mp_const_true;
}
static MP_DEFINE_CONST_FUN_OBJ_0(sdcard_present_fun, sdcard_present);
static MP_DEFINE_CONST_STATICMETHOD_OBJ(sdcard_present_obj, MP_ROM_PTR(&sdcard_present_fun));

// deinit(): as if the card were taken out; SDCard() looks again.
static mp_obj_t block_deinit(mp_obj_t self) {
    device_close(MP_OBJ_TO_PTR(self));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(block_deinit_obj, block_deinit);

static const mp_rom_map_elem_t sdcard_locals_table[] = {
    { MP_ROM_QSTR(MP_QSTR_readblocks), MP_ROM_PTR(&block_readblocks_obj) },
    { MP_ROM_QSTR(MP_QSTR_writeblocks), MP_ROM_PTR(&block_writeblocks_obj) },
    { MP_ROM_QSTR(MP_QSTR_ioctl), MP_ROM_PTR(&block_ioctl_obj) },
    { MP_ROM_QSTR(MP_QSTR_present), MP_ROM_PTR(&sdcard_present_obj) },
    { MP_ROM_QSTR(MP_QSTR_deinit), MP_ROM_PTR(&block_deinit_obj) },
};
static MP_DEFINE_CONST_DICT(sdcard_locals, sdcard_locals_table);

MP_DEFINE_CONST_OBJ_TYPE(
    qemu_sdcard_type,
    MP_QSTR_SDCard,
    MP_TYPE_FLAG_NONE,
    make_new, block_make_new,
    locals_dict, &sdcard_locals
    );

static const mp_rom_map_elem_t flash_locals_table[] = {
    { MP_ROM_QSTR(MP_QSTR_readblocks), MP_ROM_PTR(&block_readblocks_obj) },
    { MP_ROM_QSTR(MP_QSTR_writeblocks), MP_ROM_PTR(&block_writeblocks_obj) },
    { MP_ROM_QSTR(MP_QSTR_ioctl), MP_ROM_PTR(&block_ioctl_obj) },
};
static MP_DEFINE_CONST_DICT(flash_locals, flash_locals_table);

MP_DEFINE_CONST_OBJ_TYPE(
    qemu_flash_type,
    MP_QSTR_Flash,
    MP_TYPE_FLAG_NONE,
    make_new, block_make_new,
    locals_dict, &flash_locals
    );
