// SPDX-License-Identifier: MIT
//
// Random inputs for the interpreter's harness, without coverage and so many times faster:
//     random states|programs SEED INPUTS
// `states`: every instruction from a random state. `programs`: long budgets, the loops, calls and
// memory of one program. Prints what ran as JSON.

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "check.h"
#include "entropy.h"
#include "harness.h"
#include "opcodes.h"

enum { SETTINGS = 8, MAX_WORDS = 80 };

static size_t random_input(uint8_t *input, uint32_t *seed, bool states) {
    uint32_t words = 4 + below(seed, MAX_WORDS - 3);
    for (uint32_t i = 0; i < SETTINGS + 4 * words; i++) {
        input[i] = (uint8_t)(next_number(seed) >> 8);
    }
    uint32_t flat = below(seed, 64) == 0 ? 0xF0 : 0;
    uint32_t touched = below(seed, 4) == 0 ? 2 : 0;
    input[0] = (uint8_t)(flat | (states ? 4 : touched));
    if (!states && below(seed, 2) == 0) {
        input[1] |= 6;  // more of the long slices
    }
    return SETTINGS + 4 * words;
}

int main(int argc, char **argv) {
    static uint8_t input[SETTINGS + 4 * MAX_WORDS];
    if (argc != 4) {
        fprintf(stderr, "usage: random states|programs SEED INPUTS\n");
        return 2;
    }
    bool states = strcmp(argv[1], "states") == 0;
    uint32_t seed = (uint32_t)strtoul(argv[2], NULL, 0);
    uint32_t inputs = (uint32_t)strtoul(argv[3], NULL, 0);
    for (uint32_t i = 0; i < inputs; i++) {
        uint32_t own = seed * 0x9E3779B1u + i + 1;  // each input can be had alone
        next_number(&own);
        size_t size = random_input(input, &own, states);
        LLVMFuzzerTestOneInput(input, size);
    }
    const uint64_t *ops;
    uint64_t steps = harness_steps(&ops);
    uint64_t illegal = steps;
    printf("{\"inputs\": %" PRIu32 ", \"steps\": %" PRIu64 ", \"ops\": {", inputs, steps);
#define SHOW(number, name, form)                             \
    printf("\"" #name "\": %" PRIu64 ", ", ops[number]); \
    illegal -= ops[number];
    HSX_OPCODES(SHOW)
    printf("\"illegal\": %" PRIu64 "}}\n", illegal);
    return 0;
}
