// SPDX-License-Identifier: MIT
//
// The core and the plain interpreter, timed on the same program.
#ifndef HOST_RACE_H
#define HOST_RACE_H

#include <stddef.h>
#include <stdint.h>

typedef struct race {
    uint64_t ours_ns;   // CPU time of this thread
    uint64_t plain_ns;
    uint32_t steps;     // instructions that each of the two has executed
} race_t;

// Runs an image, `len` bytes with its code at `body` and its entry at `entry` in the code, with
// both for at most `cap` instructions. 0; 1: the core refused it; 2: the two came to different
// results, or one did not stop where the other did.
int race(const uint8_t *image, size_t len, size_t body, uint32_t entry, uint32_t cap,
         race_t *result);

#endif
