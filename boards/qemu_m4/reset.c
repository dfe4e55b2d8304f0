// SPDX-License-Identifier: MIT

#include "boards/qemu_m4/reset.h"
#include "boards/qemu_m4/moment.h"
#include "boards/qemu_m4/mps2.h"

#define KEPT_MAGIC (0x48535851u)

typedef struct {
    uint32_t magic; // anything else: the RAM has lost its content
    uint32_t cause; // of the next start, if nothing says better
    uint32_t handles[RESET_HANDLES];
    uint32_t word;
    uint32_t moment;
} kept_t;

// Above the memory that the linker hands out, so that it is in no segment of the ELF file.
extern volatile kept_t _kept;

static reset_cause_t cause;

void reset_init(void) {
    if (_kept.magic == KEPT_MAGIC) {
        cause = (reset_cause_t)_kept.cause;
    } else {
        cause = RESET_POWER_ON;
        _kept.magic = KEPT_MAGIC;
        _kept.handles[0] = 0;
        _kept.handles[1] = 0;
        _kept.word = 0;
        _kept.moment = 0;
    }
    _kept.cause = RESET_HARD;
}

reset_cause_t reset_cause(void) {
    return cause;
}

void reset_note_soft(void) {
    cause = RESET_SOFT;
}

void reset_now(reset_cause_t next) {
    _kept.cause = next;
    _kept.moment = moment_left();
    __asm volatile ("dsb");
    M4_AIRCR = M4_AIRCR_SYSRESETREQ;
    for (;;) {
    }
}

uint32_t reset_kept_handle(unsigned int place) {
    return _kept.handles[place];
}

void reset_keep_handle(unsigned int place, uint32_t handle) {
    _kept.handles[place] = handle;
}

uint32_t reset_kept_word(void) {
    return _kept.word;
}

void reset_keep_word(uint32_t word) {
    _kept.word = word;
}

uint32_t reset_kept_moment(void) {
    return _kept.moment;
}

void reset_keep_moment(uint32_t ticks) {
    _kept.moment = ticks;
}
