// SPDX-License-Identifier: MIT
// machine.SDCard(): the card is a host file, named by the machine's argument `sd=PATH`, which is the
// last one because a path may contain spaces. Blocks of 512 bytes. The card is in its slot while the
// file is there and not empty.

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
    int handle; // -1: no card
    uint32_t blocks;
} sdcard_obj_t;

static sdcard_obj_t sdcard = {{&qemu_sdcard_type}, -1, 0};

static void card_close(void) {
    // A hard reset forgets this object and not the host's open file.
    if (reset_kept_handle() != 0) {
        semihost_close((int)reset_kept_handle());
        reset_keep_handle(0);
    }
    sdcard.handle = -1;
    sdcard.blocks = 0;
}

// Length in bytes of the file, then open as `handle`; -1 if there is no card.
static int file_open(int *handle) {
    char arguments[ARGUMENTS_SIZE];
    if (semihost_arguments(arguments, sizeof(arguments)) != 0) {
        return -1;
    }
    const char *path = strstr(arguments, " sd=");
    if (path == NULL) {
        return -1;
    }
    *handle = semihost_open(path + 4, SEMIHOST_UPDATE);
    if (*handle == -1) {
        *handle = semihost_open(path + 4, SEMIHOST_READ); // as with its write-protect tab set
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

static void card_open(void) {
    card_close();
    int handle;
    int length = file_open(&handle);
    if (length < 0) {
        mp_raise_OSError(MP_ENODEV);
    }
    reset_keep_handle((uint32_t)handle);
    sdcard.handle = handle;
    sdcard.blocks = (uint32_t)length / BLOCK_SIZE;
}

static mp_obj_t sdcard_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    (void)type;
    (void)args;
    mp_arg_check_num(n_args, n_kw, 0, 0, false);
    if (sdcard.handle == -1) {
        card_open();
    }
    return MP_OBJ_FROM_PTR(&sdcard);
}

// Checks a request of whole blocks; returns its byte offset.
static uint32_t checked(mp_obj_t block_in, size_t len) {
    if (sdcard.handle == -1) {
        mp_raise_OSError(MP_ENODEV);
    }
    mp_int_t block = mp_obj_get_int(block_in);
    size_t count = len / BLOCK_SIZE;
    if (block < 0 || len % BLOCK_SIZE != 0) {
        mp_raise_OSError(MP_EINVAL);
    }
    if ((uint32_t)block > sdcard.blocks || count > sdcard.blocks - (uint32_t)block) {
        mp_raise_OSError(MP_EIO);
    }
    return (uint32_t)block * BLOCK_SIZE;
}

// SDCard.readblocks(block, buf)
static mp_obj_t sdcard_readblocks(mp_obj_t self, mp_obj_t block, mp_obj_t buf) {
    (void)self;
    mp_buffer_info_t info;
    mp_get_buffer_raise(buf, &info, MP_BUFFER_WRITE);
    uint32_t offset = checked(block, info.len);
    if (semihost_read(sdcard.handle, offset, info.buf, info.len) != 0) {
        mp_raise_OSError(MP_EIO);
    }
    return MP_OBJ_NEW_SMALL_INT(0);
}
static MP_DEFINE_CONST_FUN_OBJ_3(sdcard_readblocks_obj, sdcard_readblocks);

// SDCard.writeblocks(block, buf)
static mp_obj_t sdcard_writeblocks(mp_obj_t self, mp_obj_t block, mp_obj_t buf) {
    (void)self;
    mp_buffer_info_t info;
    mp_get_buffer_raise(buf, &info, MP_BUFFER_READ);
    uint32_t offset = checked(block, info.len);
    if (semihost_write(sdcard.handle, offset, info.buf, info.len) != 0) {
        mp_raise_OSError(MP_EIO);
    }
    return MP_OBJ_NEW_SMALL_INT(0);
}
static MP_DEFINE_CONST_FUN_OBJ_3(sdcard_writeblocks_obj, sdcard_writeblocks);

// SDCard.ioctl(op, arg)
static mp_obj_t sdcard_ioctl(mp_obj_t self, mp_obj_t op, mp_obj_t arg) {
    (void)self;
    (void)arg;
    switch (mp_obj_get_int(op)) {
        case MP_BLOCKDEV_IOCTL_INIT:
            if (sdcard.handle == -1) {
                card_open();
            }
            return MP_OBJ_NEW_SMALL_INT(0);
        case MP_BLOCKDEV_IOCTL_DEINIT:
            card_close();
            return MP_OBJ_NEW_SMALL_INT(0);
        case MP_BLOCKDEV_IOCTL_SYNC:
            return MP_OBJ_NEW_SMALL_INT(0);
        case MP_BLOCKDEV_IOCTL_BLOCK_COUNT:
            return mp_obj_new_int_from_uint(sdcard.blocks);
        case MP_BLOCKDEV_IOCTL_BLOCK_SIZE:
            return MP_OBJ_NEW_SMALL_INT(BLOCK_SIZE);
        default:
            return mp_const_none;
    }
}
static MP_DEFINE_CONST_FUN_OBJ_3(sdcard_ioctl_obj, sdcard_ioctl);

// SDCard.present(): as the switch in a slot tells it, whatever was opened before.
static mp_obj_t sdcard_present(void) {
    int handle;
    if (file_open(&handle) < 0) {
        return mp_const_false;
    }
    semihost_close(handle);
    return mp_const_true;
}
static MP_DEFINE_CONST_FUN_OBJ_0(sdcard_present_fun, sdcard_present);
static MP_DEFINE_CONST_STATICMETHOD_OBJ(sdcard_present_obj, MP_ROM_PTR(&sdcard_present_fun));

// SDCard.deinit(): as if the card were taken out; SDCard() looks again.
static mp_obj_t sdcard_deinit(mp_obj_t self) {
    (void)self;
    card_close();
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(sdcard_deinit_obj, sdcard_deinit);

static const mp_rom_map_elem_t sdcard_locals_table[] = {
    { MP_ROM_QSTR(MP_QSTR_readblocks), MP_ROM_PTR(&sdcard_readblocks_obj) },
    { MP_ROM_QSTR(MP_QSTR_writeblocks), MP_ROM_PTR(&sdcard_writeblocks_obj) },
    { MP_ROM_QSTR(MP_QSTR_ioctl), MP_ROM_PTR(&sdcard_ioctl_obj) },
    { MP_ROM_QSTR(MP_QSTR_present), MP_ROM_PTR(&sdcard_present_obj) },
    { MP_ROM_QSTR(MP_QSTR_deinit), MP_ROM_PTR(&sdcard_deinit_obj) },
};
static MP_DEFINE_CONST_DICT(sdcard_locals, sdcard_locals_table);

MP_DEFINE_CONST_OBJ_TYPE(
    qemu_sdcard_type,
    MP_QSTR_SDCard,
    MP_TYPE_FLAG_NONE,
    make_new, sdcard_make_new,
    locals_dict, &sdcard_locals
    );
