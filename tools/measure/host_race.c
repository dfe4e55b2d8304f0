// SPDX-License-Identifier: MIT
//
// One round of each interpreter over copies of one program. There are several copies so that
// reading the clock is little against what it measures.

#define _POSIX_C_SOURCE 200809L
#include "host_race.h"

#include <string.h>
#include <time.h>

#include "hsxvm.h"
#include "plain_vm.h"

enum { COPIES = 8, POOL = COPIES * 0x20000, STACK = 4096 };

static uint8_t pool[POOL];
static hsx_task_t tasks[COPIES];
static plain_vm_t plain[COPIES];

static uint64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static uint32_t of(const hsx_vm_t *vm, uint32_t pid, uint32_t which) {
    uint32_t value = 0;
    hsx_get(vm, pid, which, &value);
    return value;
}

// A task to its end or to `cap` steps; a service call does nothing and answers 0. How it stopped.
static uint32_t run_ours(hsx_vm_t *vm, uint32_t pid, uint32_t cap) {
    for (;;) {
        uint32_t done = of(vm, pid, HSX_STEPS);
        if (done >= cap) {
            return HSX_STOP_OK;
        }
        uint32_t reason = (uint32_t)hsx_clock(vm, pid, cap - done) & 0xFF;
        if (reason != HSX_STOP_SVC && reason != HSX_STOP_SLEEP) {
            return reason;
        }
        hsx_set(vm, pid, 0, 0);
    }
}

static void run_plain(plain_vm_t *vm, uint32_t cap) {
    while (vm->steps < cap && plain_run(vm, cap - vm->steps) == PLAIN_SVC) {
        vm->regs[0] = 0;
    }
}

// A fault leaves its code in R0, which an interpreter that checks nothing cannot know.
static int differ(const hsx_vm_t *vm, uint32_t pid, uint32_t stop, const plain_vm_t *other) {
    for (uint32_t n = stop == HSX_STOP_FAULT ? 1 : 0; n < 16; n++) {
        if (of(vm, pid, n) != other->regs[n]) {
            return 1;
        }
    }
    return of(vm, pid, HSX_PC) != other->pc || of(vm, pid, HSX_PSW) != other->psw ||
           of(vm, pid, HSX_STEPS) != other->steps;
}

int race(const uint8_t *image, size_t len, size_t body, uint32_t entry, uint32_t cap,
         race_t *result) {
    hsx_vm_t vm;
    hsx_cfg_t cfg = {.pool = pool, .pool_len = POOL, .tasks = tasks, .task_count = COPIES};
    hsx_init(&vm, &cfg);
    memset(plain, 0, sizeof plain);
    for (uint32_t n = 0; n < COPIES; n++) {
        if (hsx_load(&vm, image, len, STACK) < 0) {
            return 1;
        }
        plain[n].code = image + body;
        plain[n].pc = entry;
        plain[n].sp = HSX_STACK_TOP;
        memcpy(plain[n].mem + HSX_DATA_BASE, image + body + of(&vm, 1, HSX_CODE_LEN),
               of(&vm, 1, HSX_RO_LEN));
    }
    uint32_t stop = HSX_STOP_OK;
    uint64_t start = now_ns();
    for (uint32_t n = 0; n < COPIES; n++) {
        stop = run_ours(&vm, n + 1, cap);
    }
    result->ours_ns = now_ns() - start;

    uint32_t steps = of(&vm, 1, HSX_STEPS);
    start = now_ns();
    for (uint32_t n = 0; n < COPIES; n++) {
        run_plain(&plain[n], steps);
    }
    result->plain_ns = now_ns() - start;
    result->steps = steps * COPIES;
    return differ(&vm, 1, stop, &plain[0]) ? 2 : 0;
}
