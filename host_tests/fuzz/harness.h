// SPDX-License-Identifier: MIT
//
// What each harness offers to libFuzzer and to the drivers beside it.
#ifndef FUZZ_HARNESS_H
#define FUZZ_HARNESS_H

#include <stddef.h>
#include <stdint.h>

// One input; aborts where something is wrong. Always 0.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Instructions that retired in all inputs so far, and how many of each opcode (256 numbers).
uint64_t harness_steps(const uint64_t **ops);

#endif
