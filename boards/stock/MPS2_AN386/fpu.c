// SPDX-License-Identifier: MIT
//
// Turns the floating point unit on, before any function of MicroPython runs.

#include <stdint.h>

#define CPACR (*(volatile uint32_t *)0xE000ED88)

int __real_main(int argc, char **argv);
int __wrap_main(int argc, char **argv);

int __wrap_main(int argc, char **argv) {
    CPACR |= 0xFu << 20;
    __asm volatile ("dsb\n isb");
    return __real_main(argc, argv);
}
