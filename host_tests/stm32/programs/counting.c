// SPDX-License-Identifier: MIT
//
// Counts as fast as it can, three instructions for each count, in a word of RAM.

#include "bare.h"

void test(void) {
    __asm__ volatile(
        "mov r0, #0\n"
        "1: add r0, #1\n"
        "str r0, [%0]\n"
        "b 1b\n" ::"r"(0x2000f000)
        : "r0", "memory"
    );
}
