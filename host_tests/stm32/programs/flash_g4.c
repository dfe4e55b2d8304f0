// SPDX-License-Identifier: MIT
//
// Flash of the G474: double words, the errors of wrong sequences, erasing a page.

#include "g4.h"

enum {
    KEYR = 0x40022008, SR = 0x40022010, CR = 0x40022014, PAGE = 0x08040000 + 5 * 0x800,
};
enum { PROGERR = 1 << 3, PGAERR = 1 << 5, SIZERR = 1 << 6, PGSERR = 1 << 7, BSY = 1 << 16 };
enum { PG = 1, PER = 2, BKER = 1 << 11, STRT = 1 << 16 };

static uint32_t status(void) {
    wait_until(SR, BSY, 0);
    uint32_t errors = REG(SR) & 0xffff;
    REG(SR) = errors;
    return errors;
}

static uint32_t program(uint32_t at, uint32_t low, uint32_t high) {
    REG(at) = low;
    REG(at + 4) = high;
    return status();
}

void test(void) {
    REG(PAGE) = 1;
    EQUAL(status(), PGSERR);
    REG(KEYR) = 0x45670123;
    REG(KEYR) = 0xcdef89ab;
    EQUAL(REG(CR) >> 31, 0);
    REG(CR) = PG;
    EQUAL(program(PAGE, 0x11223344, 0x55667788), 0);
    EQUAL(REG(PAGE), 0x11223344);
    EQUAL(REG(PAGE + 4), 0x55667788);
    // Once more is an error, even with the same value; zeros are none.
    EQUAL(program(PAGE, 0x11223344, 0x55667788), PROGERR);
    EQUAL(program(PAGE, 0, 0), 0);
    EQUAL(REG(PAGE), 0);
    REG16(PAGE + 8) = 1;
    EQUAL(status(), SIZERR);
    REG(PAGE + 12) = 1;
    EQUAL(status(), PGAERR);
    REG(PAGE + 8) = 1;
    REG(PAGE + 16) = 1;
    EQUAL(status(), PGAERR);
    EQUAL(REG(PAGE + 8), 0xffffffff);
    // An error that is not cleared ends everything that follows.
    REG16(PAGE + 8) = 1;
    REG(PAGE + 8) = 1;
    EQUAL(status(), SIZERR | PGSERR);
    REG(CR) = PER | BKER | 5 << 3;
    uint32_t start = cycles(0);
    REG(CR) |= STRT;
    EQUAL(status(), 0);
    CHECK(cycles(start) > 20 * 16000);
    EQUAL(REG(PAGE), 0xffffffff);
}
