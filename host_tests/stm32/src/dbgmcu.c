// SPDX-License-Identifier: MIT
//
// DBGMCU as far as it says what part this is: RM0433 60.5.8.

#include "dbgmcu.h"

void dbgmcu_add(uint32_t base, uint32_t id) {
    static Register registers[] = {{0, "IDC", 0, 0, 0, 0}, {0}};
    static Device device;
    registers[0].reset = id;
    device = (Device){.name = "DBGMCU", .base = base, .registers = registers};
    device_add(&device);
}
