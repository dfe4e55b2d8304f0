// SPDX-License-Identifier: MIT

#include "guarded.h"

#include <string.h>

#include "check.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define SANITIZED
#endif

#ifdef SANITIZED
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(addr, size) ((void)(addr), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(addr, size) ((void)(addr), (void)(size))
#endif

enum { PATTERN = 0xA5 };

void guarded_make(guarded_t *g, uint32_t pool_len, uint32_t tasks, bool flat) {
    g->pool_len = pool_len;
    g->pool = malloc(pool_len != 0 ? pool_len : 1);
    g->tasks = malloc(tasks * sizeof *g->tasks);
    CHECK(g->pool != NULL && g->tasks != NULL);
    memset(g->pool, PATTERN, pool_len);
    memset(g->tasks, PATTERN, tasks * sizeof *g->tasks);  // need not be cleared
    hsx_cfg_t cfg = {
        .pool = g->pool, .pool_len = pool_len, .tasks = g->tasks, .task_count = tasks, .flat = flat
    };
    CHECK_EQ(hsx_init(&g->vm, &cfg), 0);
}

void guarded_drop(guarded_t *g) {
    for (uint32_t pid = 1; pid <= g->vm.task_count; pid++) {
        CHECK(hsx_state(&g->vm, pid) == HSX_ESRCH);
    }
    CHECK_EQ(hsx_free(&g->vm), g->pool_len);
    free(g->pool);
    free(g->tasks);
}

// The first byte from `at` on that a PID holds, and the first behind that which none holds.
static void next_held(const guarded_t *g, uint32_t at, uint32_t *start, uint32_t *end) {
    *start = g->pool_len;
    *end = g->pool_len;
    for (uint32_t i = 0; i < g->vm.task_count; i++) {
        const hsx_block_t blocks[2] = {g->tasks[i].image, g->tasks[i].stack};
        for (int j = 0; j < 2; j++) {
            if (blocks[j].size != 0 && blocks[j].offset >= at && blocks[j].offset < *start) {
                *start = blocks[j].offset;
                *end = blocks[j].offset + blocks[j].size;
            }
        }
    }
}

static void each_gap(const guarded_t *g, void (*action)(const uint8_t *mem, uint32_t size)) {
    uint32_t at = 0;
    while (at < g->pool_len) {
        uint32_t start;
        uint32_t end;
        next_held(g, at, &start, &end);
        action(g->pool + at, start - at);
        at = end;
    }
}

static void poison(const uint8_t *mem, uint32_t size) {
    ASAN_POISON_MEMORY_REGION(mem, size);
}

static void unpoison(const uint8_t *mem, uint32_t size) {
    ASAN_UNPOISON_MEMORY_REGION(mem, size);
}

static void check_pattern(const uint8_t *mem, uint32_t size) {
    // Equal to itself one byte on, and the first as it should be.
    CHECK(size == 0 || mem[0] == PATTERN);
    CHECK(size < 2 || memcmp(mem, mem + 1, size - 1) == 0);
}

uint32_t guarded_clock(guarded_t *g, uint32_t pid, uint32_t steps) {
    each_gap(g, poison);
    int stop = hsx_clock(&g->vm, pid, steps);
    each_gap(g, unpoison);
    CHECK(stop >= 0);
    return (uint32_t)stop;
}

void guarded_check(const guarded_t *g) {
    each_gap(g, check_pattern);
}

uint32_t guarded_get(const guarded_t *g, uint32_t pid, uint32_t which) {
    uint32_t value = 0;
    CHECK_EQ(hsx_get(&g->vm, pid, which, &value), 0);
    return value;
}

static uint32_t word_at(const model_t *m, uint32_t pc) {
    if (pc > m->code_len - 4) {
        return 0;
    }
    const uint8_t *p = m->code + pc;
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | (uint32_t)p[3];
}

void guarded_compare(const guarded_t *g, uint32_t pid, const model_t *m) {
    static uint8_t memory[0x10000];
    for (uint32_t i = 0; i < 16; i++) {
        CHECK_EQ(guarded_get(g, pid, i), m->regs[i]);
    }
    CHECK_EQ(guarded_get(g, pid, HSX_PC), m->pc);
    CHECK_EQ(guarded_get(g, pid, HSX_SP), m->sp);
    CHECK_EQ(guarded_get(g, pid, HSX_PSW), m->psw);
    CHECK_EQ(guarded_get(g, pid, HSX_DEPTH), m->depth);
    CHECK_EQ(guarded_get(g, pid, HSX_STEPS), m->steps);
    CHECK_EQ(guarded_get(g, pid, HSX_STACK_LIMIT), m->stack_limit);
    CHECK_EQ(guarded_get(g, pid, HSX_LAST_PC), m->last_pc);
    CHECK_EQ(guarded_get(g, pid, HSX_LAST_WORD), word_at(m, m->last_pc));
    for (int i = 0; i < 2; i++) {
        uint32_t base = m->windows[i].base;
        uint32_t size = m->windows[i].size;
        uint32_t done = 0;
        while (done < size) {  // the flat profile gives its memory in two parts
            int n = hsx_read(&g->vm, pid, base + done, memory + done, size - done);
            CHECK(n > 0);
            done += (uint32_t)n;
        }
        CHECK_EQ(done, size);
        CHECK(size == 0 || memcmp(memory, m->windows[i].mem, size) == 0);
    }
}

void guarded_compare_pids(const guarded_t *a, uint32_t pid_a, const guarded_t *b, uint32_t pid_b) {
    const hsx_task_t *one = &a->tasks[pid_a - 1];
    const hsx_task_t *other = &b->tasks[pid_b - 1];
    for (uint32_t which = 0; which <= HSX_LAST_WORD; which++) {
        CHECK_EQ(guarded_get(a, pid_a, which), guarded_get(b, pid_b, which));
    }
    CHECK_EQ(one->state, other->state);
    CHECK_EQ(one->stop, other->stop);
    CHECK_EQ(one->image.size, other->image.size);
    CHECK_EQ(one->stack.size, other->stack.size);
    CHECK(memcmp(a->pool + one->image.offset, b->pool + other->image.offset, one->image.size) ==
          0);
    CHECK(one->stack.size == 0 || memcmp(a->pool + one->stack.offset,
                                         b->pool + other->stack.offset, one->stack.size) == 0);
}
