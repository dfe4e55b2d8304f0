// SPDX-License-Identifier: MIT
//
// PWR of the F405 and F446: RM0090 5.4, RM0390 5.4. Left out: stop, standby, the voltage detector
// and over-drive; the backup RAM, whose regulator is ready at once, and is off after a reset.

#include "pwr_f4.h"

#include "rcc_f4.h"

enum { CR = 0, CSR = 4, DBP = 1 << 8, VOSRDY = 1 << 14, BRR = 1 << 3, BRE = 1 << 9 };

static Device pwr;

bool pwr_f4_backup_open(void) {
    return *device_value(&pwr, CR) & DBP;
}

static uint32_t read(void *self, uint32_t offset) {
    (void)self;
    uint32_t value = *device_value(&pwr, offset);
    return offset == CSR ? value | VOSRDY | (value & BRE ? BRR : 0) : value;
}

void pwr_f4_add(bool two_bits_of_scale) {
    static Register registers[] = {
        {CR, "CR", 0x4000, 0x410c, 0, 0},
        {CSR, "CSR", 0, 0x100 | BRE, 0x400f, 0},
        {0},
    };
    if (two_bits_of_scale) {
        registers[0].reset = 0xc000;
        registers[0].writable |= 0xc000;
    }
    pwr = (Device){
        .name = "PWR", .base = 0x40007000, .registers = registers, .read = read,
        .gate = APB1(28),
    };
    device_add(&pwr);
}
