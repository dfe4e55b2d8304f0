// SPDX-License-Identifier: MIT
//
// Numbers that follow from a seed (xorshift32), for what need not be under the fuzzer's hand.
#ifndef FUZZ_ENTROPY_H
#define FUZZ_ENTROPY_H

#include <stdint.h>

static inline uint32_t next_number(uint32_t *seed) {
    uint32_t x = *seed != 0 ? *seed : 0x9E3779B9;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    *seed = x;
    return x * 0x9E3779B1u >> 7 ^ x << 20;
}

static inline uint32_t below(uint32_t *seed, uint32_t limit) {
    return next_number(seed) % limit;
}

// Half of them numbers at which something changes.
static inline uint32_t any_value(uint32_t *seed) {
    static const uint32_t edges[] = {
        0,      1,      2,      31,         32,         0x7FFF,     0x8000,    0x7C00,
        0x7E00, 0x03FF, 0x0400, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFF8000, 0x3C00,
    };
    uint32_t choice = next_number(seed);
    return (choice & 16) != 0 ? edges[choice & 15] : next_number(seed) * 0x85EBCA6Bu ^ choice;
}

#endif
