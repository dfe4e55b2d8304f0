// SPDX-License-Identifier: MIT
//
// hsx_clock(): every reason to stop, what is counted, where the PC stands.

#include "unit.h"

enum { POOL = 1000, STACK = 16 };

static void more_steps_than_allowed_are_einval(void) {
    bench_t b;
    bench_make(&b, POOL, 1, false);
    uint32_t pid = LOAD(&b, STACK, RET);
    CHECK(hsx_clock(&b.vm, pid, HSX_MAX_STEPS + 1) == HSX_EINVAL);
    CHECK(hsx_clock(&b.vm, pid, HSX_MAX_STEPS) == STOP(RETURNED, 0));
    CHECK(hsx_unload(&b.vm, pid) == 0);
    bench_drop(&b);
}

static void no_steps_change_nothing(void) {
    bench_t b;
    bench_make(&b, POOL, 1, false);
    uint32_t pid = LOAD(&b, STACK, RET);
    CHECK(hsx_clock(&b.vm, pid, 0) == STOP(OK, 0));
    CHECK_EQ(get(&b, pid, HSX_LAST_PC), 0xFFFFFFFF);
    CHECK(hsx_unload(&b.vm, pid) == 0);
    bench_drop(&b);
}

// A one-instruction program with its first registers, and what it comes to.
typedef struct stop {
    uint32_t word;
    uint32_t r1;
    uint32_t r2;
    int stop;
    uint32_t r0;
    uint32_t steps;
    uint32_t pc;
    int state;
} stop_t;

static void each_reason_stops_where_it_should(void) {
    static const stop_t stops[] = {
        {0x01000005, 0, 0, STOP(OK, 0), 5, 1, 4, HSX_READY},            // LDI R0, 5
        {0x30000502, 0, 0, STOP(SVC, 0x502), 9, 1, 4, HSX_READY},       // SVC 5, 2
        {0x30000100, 0, 0, STOP(EXIT, 0), 9, 1, 4, HSX_PARKED},         // SVC TASK_EXIT
        {0x30000600, 0, 0, STOP(SLEEP, 0), 9, 1, 4, HSX_READY},         // SVC EXEC_SLEEP_MS
        {0x30000000, 0, 0, STOP(OK, 0), 0, 1, 4, HSX_READY},            // SVC CORE_GET_STEPS
        {0x7F000ABC, 0, 0, STOP(BRK, 0xBC), 9, 1, 4, HSX_READY},        // BRK
        {0x25000000, 0, 0, STOP(RETURNED, 0), 9, 0, 0, HSX_PARKED},     // RET
        {0x00000000, 0, 0, FAULT(ILLEGAL), 9, 1, 4, HSX_PARKED},        // no such opcode
        {0x60100000, 0, 0, FAULT(PC_RANGE), 9, 0, 0, HSX_PARKED},       // LDI32 at the end
        {0x13312000, 7, 0, FAULT(DIV_ZERO), 0xFFFFFF05, 0, 0, HSX_PARKED},
        {0x02310000, 0x3FFC, 0, FAULT(MEM), 0xFFFFFF04, 0, 0, HSX_PARKED},   // LD below the data
        {0x03012000, 0xFFFD, 0, FAULT(MEM), 0xFFFFFF04, 0, 0, HSX_PARKED},   // ST over the top
        {0x21000004, 0, 0, STOP(OK, 0), 9, 1, 4, HSX_READY},            // JMP behind the code
    };
    for (size_t i = 0; i < sizeof stops / sizeof stops[0]; i++) {
        const stop_t *s = &stops[i];
        bench_t b;
        bench_make(&b, POOL, 1, false);
        uint32_t pid = LOAD(&b, STACK, s->word);
        set(&b, pid, 0, 9);
        set(&b, pid, 1, s->r1);
        set(&b, pid, 2, s->r2);
        CHECK(hsx_clock(&b.vm, pid, 1) == s->stop);
        CHECK_EQ(get(&b, pid, 0), s->r0);
        CHECK_EQ(get(&b, pid, HSX_STEPS), s->steps);
        CHECK_EQ(get(&b, pid, HSX_PC), s->pc);
        CHECK_EQ(get(&b, pid, HSX_LAST_PC), 0);
        CHECK_EQ(get(&b, pid, HSX_LAST_WORD), s->word);
        CHECK(hsx_state(&b.vm, pid) == s->state);
        CHECK(hsx_unload(&b.vm, pid) == 0);
        bench_drop(&b);
    }
}

static void each_operation_sets_the_flags_of_its_result(void) {
    enum { Z = HSX_FLAG_Z, C = HSX_FLAG_C, N = HSX_FLAG_N, V = HSX_FLAG_V };
    static const struct {
        uint32_t op;
        uint32_t a;
        uint32_t b;
        uint32_t before;
        uint32_t result;
        uint32_t after;
    } rows[] = {
        {0x10, 0xFFFFFFFF, 1, 0, 0, Z | C},           // ADD
        {0x10, 0x7FFFFFFF, 1, 0, 0x80000000, N | V},
        {0x11, 5, 5, 0, 0, Z | C},                    // SUB: C is no borrow
        {0x11, 0, 1, C, 0xFFFFFFFF, N},
        {0x12, 0x10000, 0x10000, 0, 0, Z | C | V},    // MUL
        {0x13, 0x80000000, 0xFFFFFFFF, C | V, 0x80000000, N},  // DIV
        {0x14, 6, 3, C, 2, 0},                        // AND
        {0x17, 0xFFFFFFFF, 0, V, 0, Z},               // NOT
        {0x31, 0x80000000, 1, 0, 0, Z | C},           // LSL
        {0x31, 7, 32, C | V, 7, C},                   // by nothing: C stays
        {0x32, 3, 1, 0, 1, C},                        // LSR
        {0x33, 0x80000000, 31, 0, 0xFFFFFFFF, N},     // ASR
        {0x34, 0xFFFFFFFF, 0, C, 0, Z | C},           // ADC
        {0x34, 0, 0x7FFFFFFF, C, 0x80000000, N},      // V of 0 + 0x80000000
        {0x34, 0, 0xFFFFFFFF, C, 0, Z | C},
        {0x35, 5, 5, C, 0, Z | C},                    // SBC
        {0x35, 5, 5, 0, 0xFFFFFFFF, N},
        {0x35, 0, 0xFFFFFFFF, 0, 0, Z},               // borrows all of 2**32
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bench_t b;
        bench_make(&b, POOL, 1, false);
        uint32_t pid = LOAD(&b, STACK, rows[i].op << 24 | 0x00312000, RET);  // R3, R1, R2
        set(&b, pid, 1, rows[i].a);
        set(&b, pid, 2, rows[i].b);
        set(&b, pid, HSX_PSW, rows[i].before);
        CHECK(hsx_clock(&b.vm, pid, 1) == STOP(OK, 0));
        CHECK_EQ(get(&b, pid, 3), rows[i].result);
        CHECK_EQ(get(&b, pid, HSX_PSW), rows[i].after);
        CHECK(hsx_unload(&b.vm, pid) == 0);
        bench_drop(&b);
    }
}

static void carry_and_borrow_go_from_word_to_word(void) {
    bench_t b;
    bench_make(&b, POOL, 1, false);
    // ADD R3, R1, R1; ADC R4, R0, R0; SUB R5, R0, R1; SBC R6, R0, R0; CMP R1, R1; SBC R7, R1, R1
    uint32_t pid = LOAD(&b, STACK, 0x10311000, 0x34400000, 0x11501000, 0x35600000, 0x20011000,
                        0x35711000, RET);
    set(&b, pid, 1, 0x80000001);
    CHECK(hsx_clock(&b.vm, pid, 100) == STOP(RETURNED, 0));
    CHECK_EQ(get(&b, pid, 3), 2);
    CHECK_EQ(get(&b, pid, 4), 1);
    CHECK_EQ(get(&b, pid, 5), 0x7FFFFFFF);
    CHECK_EQ(get(&b, pid, 6), 0xFFFFFFFF);
    CHECK_EQ(get(&b, pid, 7), 0);
    CHECK(hsx_unload(&b.vm, pid) == 0);
    bench_drop(&b);
}

static void a_pc_outside_the_code_faults_and_stays(void) {
    static const uint32_t outside[] = {8, 7, 5, 12, 0x1000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF};
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
        bench_t b;
        bench_make(&b, POOL, 1, false);
        uint32_t pid = LOAD(&b, STACK, SPIN, SPIN);
        set(&b, pid, HSX_PC, outside[i]);
        CHECK(hsx_clock(&b.vm, pid, 100) == FAULT(PC_RANGE));
        CHECK_EQ(get(&b, pid, HSX_PC), outside[i]);
        CHECK_EQ(get(&b, pid, HSX_LAST_PC), outside[i]);
        CHECK_EQ(get(&b, pid, HSX_LAST_WORD), 0);
        CHECK_EQ(get(&b, pid, HSX_STEPS), 0);
        CHECK(hsx_unload(&b.vm, pid) == 0);
        bench_drop(&b);
    }
}

static void a_stack_takes_what_it_has_room_for(void) {
    bench_t b;
    bench_make(&b, POOL, 1, false);
    uint32_t pid = LOAD(&b, STACK, 0x40010000, SPIN);  // PUSH R1, again and again
    CHECK(hsx_clock(&b.vm, pid, 100) == FAULT(STACK_OVERFLOW));
    CHECK_EQ(get(&b, pid, HSX_STEPS), 2 * STACK / 4);
    CHECK_EQ(get(&b, pid, HSX_SP), HSX_STACK_TOP - STACK);
    CHECK_EQ(get(&b, pid, HSX_PC), 0);
    CHECK(hsx_unload(&b.vm, pid) == 0);
    bench_drop(&b);
}

static void calls_take_as_much_stack_as_pushes(void) {
    bench_t b;
    bench_make(&b, POOL, 1, false);
    uint32_t pid = LOAD(&b, STACK, 0x24000000);  // CALL itself
    CHECK(hsx_clock(&b.vm, pid, 100) == FAULT(STACK_OVERFLOW));
    CHECK_EQ(get(&b, pid, HSX_DEPTH), STACK / 4);
    CHECK(hsx_unload(&b.vm, pid) == 0);
    bench_drop(&b);
}

static void the_word_above_the_stack_can_be_popped_and_no_more(void) {
    bench_t b;
    bench_make(&b, POOL, 1, false);
    uint32_t pid = LOAD(&b, STACK, 0x41100000, SPIN);  // POP R1, again and again
    CHECK(hsx_clock(&b.vm, pid, 100) == FAULT(STACK_UNDERFLOW));
    CHECK_EQ(get(&b, pid, HSX_SP), 0x10000);
    CHECK_EQ(get(&b, pid, HSX_STEPS), 2);
    CHECK(hsx_unload(&b.vm, pid) == 0);
    bench_drop(&b);
}

static void a_parked_task_gives_its_stop_again(void) {
    bench_t b;
    bench_make(&b, POOL, 1, false);
    uint32_t pid = LOAD(&b, STACK, 0x00000000, SPIN);
    for (int i = 0; i < 3; i++) {
        CHECK(hsx_clock(&b.vm, pid, 100) == FAULT(ILLEGAL));
        CHECK_EQ(get(&b, pid, HSX_STEPS), 1);
    }
    set(&b, pid, HSX_PC, 4);
    CHECK(hsx_clock(&b.vm, pid, 100) == FAULT(ILLEGAL));
    CHECK_EQ(get(&b, pid, HSX_PC), 4);
    CHECK(hsx_unload(&b.vm, pid) == 0);
    bench_drop(&b);
}

static void every_budget_ends_after_as_many_instructions(void) {
    bench_t b;
    bench_make(&b, POOL, 1, false);
    // LDI32 R1, 1; ADD R2, R2, R1; JMP 0
    uint32_t pid = LOAD(&b, STACK, 0x60100000, 1, 0x10221000, SPIN);
    uint32_t total = 0;
    for (uint32_t steps = 0; steps < 200; steps++) {
        CHECK(hsx_clock(&b.vm, pid, steps) == STOP(OK, 0));
        total += steps;
        CHECK_EQ(get(&b, pid, HSX_STEPS), total);
        CHECK_EQ(get(&b, pid, 2), (total + 1) / 3);
    }
    CHECK(hsx_unload(&b.vm, pid) == 0);
    bench_drop(&b);
}

static void steps_wrap_and_are_what_the_program_is_told(void) {
    bench_t b;
    bench_make(&b, POOL, 1, false);
    uint32_t pid = LOAD(&b, STACK, 0x04110000, 0x30000000, RET);  // MOV, SVC CORE_GET_STEPS
    set(&b, pid, HSX_STEPS, 0xFFFFFFFF);
    set(&b, pid, 0, 9);
    CHECK(hsx_clock(&b.vm, pid, 10) == STOP(RETURNED, 0));
    CHECK_EQ(get(&b, pid, 0), 0);
    CHECK_EQ(get(&b, pid, HSX_STEPS), 1);
    CHECK(hsx_unload(&b.vm, pid) == 0);
    bench_drop(&b);
}

static void a_sleep_of_nothing_is_answered_inside(void) {
    bench_t b;
    bench_make(&b, POOL, 1, false);
    uint32_t pid = LOAD(&b, STACK, 0x30000600, RET);
    CHECK(hsx_clock(&b.vm, pid, 10) == STOP(RETURNED, 0));
    CHECK_EQ(get(&b, pid, HSX_STEPS), 1);
    CHECK(hsx_unload(&b.vm, pid) == 0);
    bench_drop(&b);
}

void run_clock_tests(void) {
    RUN(more_steps_than_allowed_are_einval);
    RUN(no_steps_change_nothing);
    RUN(each_reason_stops_where_it_should);
    RUN(each_operation_sets_the_flags_of_its_result);
    RUN(carry_and_borrow_go_from_word_to_word);
    RUN(a_pc_outside_the_code_faults_and_stays);
    RUN(a_stack_takes_what_it_has_room_for);
    RUN(calls_take_as_much_stack_as_pushes);
    RUN(the_word_above_the_stack_can_be_popped_and_no_more);
    RUN(a_parked_task_gives_its_stop_again);
    RUN(every_budget_ends_after_as_many_instructions);
    RUN(steps_wrap_and_are_what_the_program_is_told);
    RUN(a_sleep_of_nothing_is_answered_inside);
}
