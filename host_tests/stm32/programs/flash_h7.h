// SPDX-License-Identifier: MIT
//
// What programs share that write to bank 2 of the H743's flash.
#pragma once

#include "h7.h"

enum {
    BANK2 = 0x08100000, SECTOR = BANK2 + 5 * 0x20000, KEYR2 = 0x52002104, CR2 = 0x5200210c,
    SR2 = 0x52002110, CCR2 = 0x52002114, ECC_FA2 = 0x52002160,
};
enum { LOCK = 1, PG = 2, SER = 4, X64 = 3 << 4, FW = 1 << 6, START = 1 << 7 };
enum { BSY = 1, WBNE = 2, QW = 4 };
enum {
    EOP = 1 << 16, PGSERR = 1 << 18, STRBERR = 1 << 19, INCERR = 1 << 21, DBECCERR = 1 << 26,
};

static inline uint32_t flash_status(void) {
    wait_until(SR2, QW, 0);
    uint32_t flags = REG(SR2) & 0xffff0000;
    REG(CCR2) = flags;
    return flags;
}

static inline void unlock(void) {
    REG(KEYR2) = 0x45670123;
    REG(KEYR2) = 0xcdef89ab;
    EQUAL(REG(CR2) & LOCK, 0);
}

static inline uint32_t program_word(uint32_t at, uint32_t first) {
    for (unsigned i = 0; i < 8; i++) {
        REG(at + 4 * i) = first + i;
    }
    return flash_status();
}
