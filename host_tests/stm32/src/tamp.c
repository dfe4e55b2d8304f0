// SPDX-License-Identifier: MIT
//
// TAMP of the G474 as far as its 32 backup registers: RM0440 chapter 36. Left out: tamper
// detection.

#include "tamp.h"

enum { BKP0R = 0x100, COUNT = 32 };

static Device tamp;
static bool (*is_open)(void);

static void write(void *self, uint32_t offset, uint32_t value, unsigned size) {
    (void)self, (void)size;
    if (!is_open()) {
        refuse("write of TAMP+%03x while the backup domain is closed", (unsigned)offset);
    }
    *device_value(&tamp, offset) = value;
}

void tamp_backup_reset(void) {
    for (uint32_t i = 0; i < COUNT; i++) {
        *device_value(&tamp, BKP0R + 4 * i) = 0;
    }
}

void tamp_add(Gate gate, bool (*open)(void)) {
    static const Register registers[] = {
        {BKP0R, "BKPR", .writable = UINT32_MAX, .count = COUNT}, {0},
    };
    is_open = open;
    tamp = (Device){
        .name = "TAMP", .base = 0x40002400, .registers = registers, .write = write, .kept = true,
        .gate = gate,
    };
    device_add(&tamp);
}
