// SPDX-License-Identifier: MIT
//
// FMC of the H743 as far as ST's SystemInit touches it: RM0433 22.7.6. It switches bank 1 off, which
// is on after a reset, and does so before the FMC has its clock. Left out: all external memories.

#include "fmc.h"

void fmc_add(uint32_t base, Gate gate) {
    static const Register registers[] = {{0, "BCR1", 0x30db, 0x30db, 0, 0}, {0}};
    static Device device;
    device = (Device){
        .name = "FMC", .base = base, .registers = registers, .gate = gate,
        .silent_without_clock = true,
    };
    device_add(&device);
}
