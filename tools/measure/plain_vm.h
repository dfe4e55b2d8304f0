// SPDX-License-Identifier: MIT
//
// The instruction set in a plain `switch` that checks nothing: what the core's speed is compared
// with. It answers no service call but the task's exit and runs correct programs only.
#ifndef PLAIN_VM_H
#define PLAIN_VM_H

#include <stdint.h>

enum { PLAIN_OK, PLAIN_SVC, PLAIN_EXIT, PLAIN_RETURNED, PLAIN_OTHER };

typedef struct plain_vm {
    uint32_t regs[16];
    uint32_t pc;
    uint32_t sp;
    uint32_t psw;    // Z 1, C 2, N 4, V 8
    uint32_t depth;  // of calls
    uint32_t steps;  // executed
    const uint8_t *code;         // big-endian words, as in the image
    uint8_t mem[0x10000 + 4];
} plain_vm_t;

// Runs at most `budget` instructions: PLAIN_...; after PLAIN_SVC the PC is behind the SVC.
int plain_run(plain_vm_t *vm, uint32_t budget);

#endif
