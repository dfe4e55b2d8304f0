// SPDX-License-Identifier: MIT
//
// The DAC of the H743 as far as a soft reset of MicroPython touches it: RM0433 26. It disables both
// channels (dac_deinit_all), also without a clock. All else is left out, and refused.

#include "dac.h"

void dac_add(uint32_t base, Gate gate) {
    static const Register registers[] = {
        {0x00, "CR", 0, 0, 0, 0}, {0x3c, "MCR", 0, 0x00070007, 0, 0}, {0},
    };
    static Device device;
    device = (Device){
        .name = "DAC", .base = base, .registers = registers, .gate = gate,
        .silent_without_clock = true,
    };
    device_add(&device);
}
