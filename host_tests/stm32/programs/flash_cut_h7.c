// SPDX-License-Identifier: MIT
//
// Flash of the H743 after a power cut: programs words until the power goes, and finds the one that
// was cut at the next start by its double error, which is a bus fault.

#include "flash_h7.h"

enum { SHCSR = 0xe000ed24, CFSR = 0xe000ed28, BFAR = 0xe000ed38, PRECISE = 0x8200 };

static volatile uint32_t at;

static void on_bus_fault(void) {
    EQUAL(REG(CFSR), PRECISE);
    EQUAL(REG(BFAR), at);
    EQUAL(REG(SR2) & DBECCERR, DBECCERR);
    EQUAL(REG(ECC_FA2), (at - BANK2) / 32);
    finish(true);
}

void test(void) {
    handlers[5] = on_bus_fault;
    REG(SHCSR) = 1 << 17;
    if (REG(SECTOR) == 0xffffffff) {
        unlock();
        REG(CR2) = PG | X64;
        for (uint32_t word = SECTOR;; word += 32) {
            program_word(word, word);
        }
    }
    for (at = SECTOR; at < SECTOR + 0x1000; at += 32) {
        EQUAL(REG(at), at);
    }
    CHECK(!"a bus fault");
}
