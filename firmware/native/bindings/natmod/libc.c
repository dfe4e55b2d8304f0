// SPDX-License-Identifier: MIT
//
// What the compiler calls of the C library, by way of the functions that MicroPython hands to .mpy
// files; it has no library for them. Compiled with -fno-builtin: no loop here becomes a call of
// itself.

#include <string.h>

#include "py/dynruntime.h"

void *memcpy(void *restrict to, const void *restrict from, size_t size) {
    return mp_fun_table.memmove_(to, from, size);
}

void *memmove(void *to, const void *from, size_t size) {
    return mp_fun_table.memmove_(to, from, size);
}

void *memset(void *to, int value, size_t size) {
    return mp_fun_table.memset_(to, value, size);
}

int memcmp(const void *left, const void *right, size_t size) {
    const unsigned char *a = left;
    const unsigned char *b = right;
    for (; size != 0; a++, b++, size--) {
        if (*a != *b) {
            return *a < *b ? -1 : 1;
        }
    }
    return 0;
}
