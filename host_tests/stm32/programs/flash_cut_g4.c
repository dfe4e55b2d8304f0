// SPDX-License-Identifier: MIT
//
// Flash of the G474 after a power cut: programs double words until the power goes, and finds the
// one that was cut at the next start by its double error.

#include "g4.h"

enum { KEYR = 0x40022008, SR = 0x40022010, CR = 0x40022014, ECCR = 0x40022018 };
enum { PAGE = 0x08040000 + 5 * 0x800, BSY = 1 << 16, PG = 1, BK_ECC = 1 << 21 };
#define ECCD (1u << 31)

static volatile unsigned errors;
static volatile uint32_t at;

static void on_nmi(void) {
    errors++;
    EQUAL(REG(ECCR), ECCD | BK_ECC | (at - 0x08040000));
    REG(ECCR) = ECCD;
    EQUAL(REG(ECCR) & ECCD, 0);
}

void test(void) {
    handlers[2] = on_nmi;
    if (REG(PAGE) == 0xffffffff) {
        REG(KEYR) = 0x45670123;
        REG(KEYR) = 0xcdef89ab;
        REG(CR) = PG;
        for (uint32_t word = PAGE;; word += 8) {
            REG(word) = 0;
            REG(word + 4) = 0x12345678;
            wait_until(SR, BSY, 0);
        }
    }
    for (at = PAGE; at < PAGE + 0x800; at += 8) {
        (void)REG(at);
        delay(40);
    }
    EQUAL(errors, 1);
}
