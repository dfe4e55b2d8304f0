// SPDX-License-Identifier: MIT
//
// Flash of the H743: words of 256 bits, the errors of wrong sequences, erasing a sector while the
// core executes from the other bank. What the part refuses: CASE > 0.

#include "flash_h7.h"

#ifndef CASE
#define CASE 0
#endif

static void forbidden(void) {
    unlock();
    REG(CR2) = PG | X64;
    switch (CASE) {
        case 1:
            program_word(SECTOR, 1);
            program_word(SECTOR, 1);
            break;
        case 2:
            for (unsigned i = 0; i < 8; i++) {
                REG(SECTOR + 4 * i) = i;
            }
            REG(SECTOR + 32) = 1;
            break;
        case 3:
            REG(KEYR2) = 0x45670123;
            break;
        case 4:
            REG(CR2) = LOCK | X64;
            REG(CR2) = PG | X64;
            break;
        case 5:
            REG(CR2) = PG | X64 | START;
            break;
    }
}

void test(void) {
    if (CASE) {
        forbidden();
        return;
    }
    REG(SECTOR) = 1;
    EQUAL(flash_status(), PGSERR);
    unlock();
    REG(CR2) = PG | X64;
    EQUAL(program_word(SECTOR, 0x11223344), EOP);
    EQUAL(REG(SECTOR), 0x11223344);
    EQUAL(REG(SECTOR + 28), 0x1122334b);
    // A part of a word waits until FW, the rest stays as it is.
    REG8(SECTOR + 33) = 0x5a;
    EQUAL(REG(SR2), WBNE);
    EQUAL(REG(SECTOR + 32), 0xffffffff);
    REG8(SECTOR + 33) = 0x5b;
    EQUAL(flash_status(), STRBERR);
    REG(SECTOR + 64) = 1;
    EQUAL(flash_status(), INCERR);
    REG(CR2) = PG | X64 | FW;
    EQUAL(flash_status(), EOP);
    EQUAL(REG(CR2) & FW, 0);
    EQUAL(REG(SECTOR + 32), 0xffff5aff);
    // The core goes on.
    REG(CR2) = SER | X64 | 5 << 8;
    REG(CR2) |= START;
    uint32_t turns = 0;
    for (uint32_t start = cycles(0); cycles(start) < 1000000; turns++) {
    }
    CHECK(turns > 1000);
    EQUAL(REG(SR2), BSY | QW);
    EQUAL(flash_status(), EOP);
    EQUAL(REG(SECTOR), 0xffffffff);
    EQUAL(REG(CR2) & START, 0);
}
