// SPDX-License-Identifier: MIT
//
// PIDs: their states, and what can be asked of and set in each.

#include "unit.h"

enum { POOL = 1000, STACK = 64 };

static void calls_on_a_pid_that_is_none_are_esrch(void) {
    bench_t b;
    uint8_t byte = 0;
    uint32_t value;
    bench_make(&b, POOL, 2, false);
    for (uint32_t pid = 0; pid < 4; pid++) {
        CHECK(hsx_state(&b.vm, pid) == HSX_ESRCH);
        CHECK(hsx_unload(&b.vm, pid) == HSX_ESRCH);
        CHECK(hsx_clock(&b.vm, pid, 1) == HSX_ESRCH);
        CHECK(hsx_get(&b.vm, pid, HSX_PC, &value) == HSX_ESRCH);
        CHECK(hsx_set(&b.vm, pid, HSX_PC, 0) == HSX_ESRCH);
        CHECK(hsx_read(&b.vm, pid, 0xFFFC, &byte, 1) == HSX_ESRCH);
        CHECK(hsx_write(&b.vm, pid, 0xFFFC, &byte, 1) == HSX_ESRCH);
    }
    CHECK(hsx_state(&b.vm, 0xFFFFFFFF) == HSX_ESRCH);
    bench_drop(&b);
}

static void calls_on_a_pid_that_loads_or_has_failed_are_ebusy(void) {
    bench_t b;
    uint8_t bytes[32] = {0};  // version 0
    uint32_t value;
    size_t body;
    bench_make(&b, POOL, 1, false);
    CHECK(hsx_load_begin(&b.vm, 0) == 1);
    for (int state = HSX_LOADING; state <= HSX_FAILED; state++) {
        CHECK(hsx_state(&b.vm, 1) == state);
        CHECK(hsx_unload(&b.vm, 1) == HSX_EBUSY);
        CHECK(hsx_clock(&b.vm, 1, 1) == HSX_EBUSY);
        CHECK(hsx_get(&b.vm, 1, HSX_PC, &value) == HSX_EBUSY);
        CHECK(hsx_set(&b.vm, 1, HSX_PC, 0) == HSX_EBUSY);
        CHECK(hsx_read(&b.vm, 1, 0xFFFC, bytes, 1) == HSX_EBUSY);
        CHECK(hsx_write(&b.vm, 1, 0xFFFC, bytes, 1) == HSX_EBUSY);
        if (state == HSX_LOADING) {
            CHECK(hsx_load_write(&b.vm, 1, bytes, sizeof bytes, &body) == HSX_EBADMSG);
        }
    }
    CHECK(hsx_load_abort(&b.vm, 1) == 0);
    bench_drop(&b);
}

static void a_fresh_task_has_the_state_of_the_specification(void) {
    bench_t b;
    bench_make(&b, POOL, 1, false);
    image_t image = IMAGE("data", SPIN, RET);
    put32(&image, AT_ENTRY, 4);
    seal(&image);
    CHECK(hsx_load(&b.vm, image.bytes, image.len, STACK - 3) == 1);  // rounded up
    for (uint32_t i = 0; i < 16; i++) {
        CHECK_EQ(get(&b, 1, i), 0);
    }
    CHECK_EQ(get(&b, 1, HSX_PC), 4);
    CHECK_EQ(get(&b, 1, HSX_SP), HSX_STACK_TOP);
    CHECK_EQ(get(&b, 1, HSX_PSW), 0);
    CHECK_EQ(get(&b, 1, HSX_DEPTH), 0);
    CHECK_EQ(get(&b, 1, HSX_STEPS), 0);
    CHECK_EQ(get(&b, 1, HSX_STACK_LIMIT), HSX_STACK_TOP - STACK);
    CHECK_EQ(get(&b, 1, HSX_CODE_LEN), 8);
    CHECK_EQ(get(&b, 1, HSX_RO_LEN), 4);
    CHECK_EQ(get(&b, 1, HSX_LAST_PC), 0xFFFFFFFF);
    CHECK_EQ(get(&b, 1, HSX_LAST_WORD), 0);
    CHECK(hsx_unload(&b.vm, 1) == 0);
    bench_drop(&b);
}

static void no_stack_asked_for_is_the_profiles_default(void) {
    for (int flat = 0; flat < 2; flat++) {
        bench_t b;
        bench_make(&b, 70000, 1, flat != 0);
        uint32_t pid = LOAD(&b, 0, RET);
        CHECK_EQ(get(&b, pid, HSX_STACK_LIMIT),
                 HSX_STACK_TOP - (flat != 0 ? HSX_STACK_FLAT : HSX_STACK_DEFAULT));
        CHECK(hsx_unload(&b.vm, pid) == 0);
        bench_drop(&b);
    }
}

static void each_number_is_set_or_refused(void) {
    bench_t b;
    uint32_t value;
    bench_make(&b, POOL, 1, false);
    uint32_t pid = LOAD(&b, STACK, RET);
    for (uint32_t which = 0; which < HSX_STACK_LIMIT; which++) {
        uint32_t given = 0xA0000000 + which;
        set(&b, pid, which, given);
        CHECK_EQ(get(&b, pid, which), which == HSX_PSW ? (given & 15) : given);
    }
    for (uint32_t which = HSX_STACK_LIMIT; which < 40; which++) {
        CHECK(hsx_set(&b.vm, pid, which, 0) == HSX_EINVAL);
    }
    for (uint32_t which = HSX_LAST_WORD + 1; which < 40; which++) {
        CHECK(hsx_get(&b.vm, pid, which, &value) == HSX_EINVAL);
    }
    CHECK(hsx_get(&b.vm, pid, 0xFFFFFFFF, &value) == HSX_EINVAL);
    CHECK(hsx_unload(&b.vm, pid) == 0);
    bench_drop(&b);
}

static void every_psw_comes_back_as_it_was_set(void) {
    bench_t b;
    bench_make(&b, POOL, 1, false);
    uint32_t pid = LOAD(&b, STACK, SPIN);
    for (uint32_t psw = 0; psw < 16; psw++) {
        set(&b, pid, HSX_PSW, psw);
        CHECK_EQ(get(&b, pid, HSX_PSW), psw);
        CHECK(hsx_clock(&b.vm, pid, 3) == STOP(OK, 0));  // JMP keeps all of it
        CHECK_EQ(get(&b, pid, HSX_PSW), psw);
    }
    CHECK(hsx_unload(&b.vm, pid) == 0);
    bench_drop(&b);
}

void run_task_tests(void) {
    RUN(calls_on_a_pid_that_is_none_are_esrch);
    RUN(calls_on_a_pid_that_loads_or_has_failed_are_ebusy);
    RUN(a_fresh_task_has_the_state_of_the_specification);
    RUN(no_stack_asked_for_is_the_profiles_default);
    RUN(each_number_is_set_or_refused);
    RUN(every_psw_comes_back_as_it_was_set);
}
