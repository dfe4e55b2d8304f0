// SPDX-License-Identifier: MIT
//
// Flash and OTP of the F4: keys, erase, programming, errors, locks.

#include "bare.h"

enum { FLASH = 0x40023c00, KEYR = FLASH + 4, SR = FLASH + 12, CR = FLASH + 16 };
enum { SECTOR_5 = 0x08020000, OTP = 0x1fff7800, OTP_LOCKS = 0x1fff7a00 };
enum { WRPERR = 16, PGAERR = 32, PGPERR = 64, PGSERR = 128, BSY = 0x10000 };
enum { PG = 1, SER = 2, WORD = 2 << 8, BYTE = 0, STRT = 0x10000, LOCK = (int)0x80000000 };

#ifndef CASE
#define CASE 0
#endif

static void unlock(void) {
    REG(KEYR) = 0x45670123;
    REG(KEYR) = 0xcdef89ab;
}

static void finish_operation(void) {
    wait_until(SR, BSY, 0);
}

static void erase(unsigned sector) {
    REG(CR) = SER | sector << 3 | WORD;
    REG(CR) |= STRT;
    finish_operation();
    REG(CR) = WORD;
}

static void program(uint32_t address, uint32_t value) {
    REG(CR) = PG | WORD;
    REG(address) = value;
    finish_operation();
    REG(CR) = WORD;
}

static void errors(void) {
    REG(SECTOR_5) = 0;  // without PG
    EQUAL(REG(SR), PGSERR);
    REG(SR) = PGSERR;
    REG(CR) = PG | WORD;
    REG16(SECTOR_5) = 0;  // not the width that CR says
    EQUAL(REG(SR), PGPERR);
    REG(SR) = 0xf0;
    EQUAL(REG(SR), 0);
    REG(CR) = WORD;
}

static void one_time(void) {
    EQUAL(REG(OTP), 0xffffffff);
    program(OTP, 0x12345678);
    EQUAL(REG(OTP), 0x12345678);
    REG(CR) = PG | BYTE;
    REG8(OTP_LOCKS) = 0;
    finish_operation();
    EQUAL(REG8(OTP_LOCKS), 0);
    program(OTP, 0);
    EQUAL(REG(SR), WRPERR);
    EQUAL(REG(OTP), 0x12345678);
    REG(SR) = WRPERR;
    program(OTP + 32, 0);  // the next block is open
    EQUAL(REG(OTP + 32), 0);
}

void test(void) {
    EQUAL(REG(CR), 0x80000000);
    EQUAL(REG16(0x1fff7a22), 1024);
    switch (CASE) {
    case 1:
        REG(KEYR) = 0x45670124;
        break;
    case 2:
        REG(CR) = PG;
        break;
    case 3:  // no such sector
        unlock();
        erase(12);
        break;
    case 4:  // the host cuts the power in the middle
        unlock();
        program(SECTOR_5, 0);
        say("erasing\n");
        erase(5);
        break;
    default:
        unlock();
        EQUAL(REG(CR), 0);
        program(SECTOR_5, 0xff00ff00);
        program(SECTOR_5, 0xf0f0f0f0);
        EQUAL(REG(SECTOR_5), 0xf000f000);  // bits go from 1 to 0 only
        EQUAL(REG(0x00020000), 0xf000f000);  // the alias of the boot
        errors();
        erase(5);
        EQUAL(REG(SECTOR_5), 0xffffffff);
        one_time();
        REG(CR) = LOCK;
        EQUAL(REG(CR), 0x80000000);
    }
}
