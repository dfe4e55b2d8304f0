// SPDX-License-Identifier: MIT
//
// The pool: what fits, what does not, and what comes back.

#include "unit.h"

enum { CODE = 4 + 4, STACK = 64, NEED = CODE + STACK + 4 };  // of a program of one word

static void task_count_out_of_range_is_refused(void) {
    hsx_vm_t vm;
    hsx_task_t task;
    uint8_t pool[1];
    hsx_cfg_t cfg = {pool, sizeof pool, &task, 0, false};
    CHECK(hsx_init(&vm, &cfg) == HSX_EINVAL);
    cfg.task_count = HSX_MAX_TASKS + 1;
    CHECK(hsx_init(&vm, &cfg) == HSX_EINVAL);
}

static void the_largest_table_is_taken(void) {
    bench_t b;
    bench_make(&b, 0, HSX_MAX_TASKS, false);
    CHECK_EQ(hsx_free(&b.vm), 0);
    bench_drop(&b);
}

static void a_pool_beyond_two_gigabytes_is_used_up_to_there(void) {
    hsx_vm_t vm;
    hsx_task_t task;
    uint8_t pool[1];
    hsx_cfg_t cfg = {pool, (size_t)1 << 31, &task, 1, false};
    CHECK(hsx_init(&vm, &cfg) == 0);
    CHECK_EQ(hsx_free(&vm), 0x7FFFFFFF);
}

static void a_program_fits_into_exactly_its_bytes(void) {
    bench_t b;
    bench_make(&b, NEED, 1, false);
    uint32_t pid = LOAD(&b, STACK, RET);
    CHECK_EQ(hsx_free(&b.vm), 0);
    CHECK_EQ(get(&b, pid, HSX_ARENA), NEED);
    CHECK(hsx_unload(&b.vm, pid) == 0);
    bench_drop(&b);
}

static void every_smaller_pool_is_too_small_and_keeps_nothing(void) {
    image_t image = IMAGE("", RET);
    for (size_t len = 0; len < NEED; len++) {
        bench_t b;
        bench_make(&b, len, 1, false);
        CHECK(hsx_load(&b.vm, image.bytes, image.len, STACK) == HSX_ENOSPC);
        CHECK_EQ(hsx_load_error(&b.vm)->rule, HSX_RULE_MEMORY);
        CHECK_EQ(hsx_load_error(&b.vm)->offset, len < CODE ? 32 : image.len);
        bench_drop(&b);
    }
}

static void a_gap_between_tasks_is_taken_again(void) {
    bench_t b;
    bench_make(&b, 3 * NEED, 4, false);
    uint32_t first = LOAD(&b, STACK, RET);
    uint32_t second = LOAD(&b, STACK, SPIN);
    uint32_t third = LOAD(&b, STACK, RET);
    image_t image = IMAGE("", RET);
    CHECK(hsx_load(&b.vm, image.bytes, image.len, STACK) == HSX_ENOSPC);
    CHECK(hsx_unload(&b.vm, second) == 0);
    CHECK_EQ(LOAD(&b, STACK, RET), second);
    CHECK_EQ(hsx_free(&b.vm), 0);
    for (uint32_t pid = first; pid <= third; pid++) {
        CHECK(hsx_unload(&b.vm, pid) == 0);
    }
    bench_drop(&b);
}

static void an_image_and_its_stack_may_lie_apart(void) {
    bench_t b;
    bench_make(&b, 4 * CODE + 2 * STACK, 4, false);
    uint32_t a = LOAD(&b, 4, RET);
    uint32_t gap = LOAD(&b, 4, RET);
    uint32_t c = LOAD(&b, 4, RET);
    CHECK(hsx_unload(&b.vm, gap) == 0);
    uint32_t apart = LOAD(&b, STACK, 0x40000000, 0x41100000, RET);  // PUSH R0, POP R1
    set(&b, apart, 0, 0x12345678);
    CHECK(hsx_clock(&b.vm, apart, 10) == STOP(RETURNED, 0));
    CHECK_EQ(get(&b, apart, 1), 0x12345678);
    for (uint32_t pid = 1; pid <= c; pid++) {
        CHECK(hsx_unload(&b.vm, pid) == 0);
    }
    CHECK_EQ(a, 1);
    bench_drop(&b);
}

static void no_slot_is_enospc(void) {
    bench_t b;
    bench_make(&b, 4 * NEED, 2, false);
    CHECK(hsx_load_begin(&b.vm, 0) == 1);
    CHECK(hsx_load_begin(&b.vm, 0) == 2);
    CHECK(hsx_load_begin(&b.vm, 0) == HSX_ENOSPC);
    CHECK(hsx_load_error(&b.vm)->err == HSX_ENOSPC);
    image_t image = IMAGE("", RET);
    CHECK(hsx_load(&b.vm, image.bytes, image.len, STACK) == HSX_ENOSPC);
    CHECK(hsx_load_abort(&b.vm, 1) == 0);
    CHECK(hsx_load_begin(&b.vm, 0) == 1);
    CHECK(hsx_load_abort(&b.vm, 1) == 0);
    CHECK(hsx_load_abort(&b.vm, 2) == 0);
    bench_drop(&b);
}

void run_pool_tests(void) {
    RUN(task_count_out_of_range_is_refused);
    RUN(the_largest_table_is_taken);
    RUN(a_pool_beyond_two_gigabytes_is_used_up_to_there);
    RUN(a_program_fits_into_exactly_its_bytes);
    RUN(every_smaller_pool_is_too_small_and_keeps_nothing);
    RUN(a_gap_between_tasks_is_taken_again);
    RUN(an_image_and_its_stack_may_lie_apart);
    RUN(no_slot_is_enospc);
}
