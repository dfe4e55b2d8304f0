// SPDX-License-Identifier: MIT
//
// A core in memory that tells: pool and task table are allocated to the byte, so that a sanitizer
// sees every access beyond them; what no PID holds carries a pattern, which must not change, and
// is poisoned while tasks run.
#ifndef FUZZ_GUARDED_H
#define FUZZ_GUARDED_H

#include "hsxvm.h"
#include "model.h"

typedef struct guarded {
    hsx_vm_t vm;
    hsx_task_t *tasks;
    uint8_t *pool;
    uint32_t pool_len;
} guarded_t;

void guarded_make(guarded_t *g, uint32_t pool_len, uint32_t tasks, bool flat);

// All of it is back: no PID, every byte free. Then gives the memory back.
void guarded_drop(guarded_t *g);

// hsx_clock() with all poisoned that no PID holds.
uint32_t guarded_clock(guarded_t *g, uint32_t pid, uint32_t steps);

// The pattern stands wherever no PID holds memory.
void guarded_check(const guarded_t *g);

// A PID of the core and the model are in the same state: registers, flags, counters, last
// instruction, and each byte of guest memory.
void guarded_compare(const guarded_t *g, uint32_t pid, const model_t *model);

// The same for two PIDs.
void guarded_compare_pids(const guarded_t *a, uint32_t pid_a, const guarded_t *b, uint32_t pid_b);

// A register or one of the other numbers of hsx_get().
uint32_t guarded_get(const guarded_t *g, uint32_t pid, uint32_t which);

#endif
