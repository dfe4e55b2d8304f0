// SPDX-License-Identifier: MIT
//
// The interpreter under a fuzzer. One input is one image with a start state. Three run it: the
// core in slices, the core one instruction at a time, and the model; after each slice all three
// are in the same state. What no PID holds is left alone, and all is given back.
//
// Input: 8 bytes of settings, then code words, four bytes each, big-endian.
//   0  bit 0: words as they are, else made plausible (see plausible()); bit 1: settings of a state
//      are changed between slices; bit 2: all of a state is drawn anew for each instruction;
//      bits 7:4 all set: flat profile
//   1  bits 2:0 which slice; bits 7:3: spare bytes in the pool
//   2  flags and call depth   3  rodata bytes   4  bss bytes   5  stack words, 0: the default
//   6, 7  seed of registers and of what a caller does between slices

#include <string.h>

#include "check.h"
#include "entropy.h"
#include "guarded.h"
#include "harness.h"

enum { SETTINGS = 8, MAX_WORDS = 256, MAX_STEPS = 500, MAX_SLICES = 100, HEADER = 32 };

static const uint32_t slices[8] = {1, 2, 3, 5, 7, 20, 60, MAX_STEPS};

static uint64_t total_steps;
static uint64_t total_ops[256];

static void put_be32(uint8_t *p, uint32_t value) {
    p[0] = (uint8_t)(value >> 24);
    p[1] = (uint8_t)(value >> 16);
    p[2] = (uint8_t)(value >> 8);
    p[3] = (uint8_t)value;
}

static uint32_t get_be32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | (uint32_t)p[3];
}

// ---- Code -------------------------------------------------------------------------------------

// A word that keeps a program alive: known opcodes, jumps inside the code, addresses in registers
// 13 (data) and 14 (stack), which nothing else writes. One in 16 only gets a known opcode, one in
// 128 is taken as it is.
static uint32_t plausible(uint32_t word, uint32_t at, uint32_t count) {
    static const uint8_t ops[64] = {
        0x10, 0x11, 0x12, 0x14, 0x15, 0x16, 0x17, 0x20, 0x31, 0x32, 0x33, 0x34, 0x35, 0x10, 0x11,
        0x20, 0x34, 0x35, 0x31, 0x32, 0x33, 0x13, 0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x02, 0x03,
        0x06, 0x07, 0x08, 0x09, 0x02, 0x03, 0x40, 0x40, 0x41, 0x41, 0x21, 0x22, 0x23, 0x22, 0x23,
        0x22, 0x23, 0x24, 0x24, 0x25, 0x25, 0x01, 0x01, 0x01, 0x60, 0x60, 0x04, 0x04, 0x30, 0x30,
        0x10, 0x11, 0x35, 0x7F,
    };
    uint32_t kind = word >> 24;
    uint32_t op = ops[kind % 64];
    uint32_t rd = (word >> 20 & 15) % 13;
    uint32_t rs1 = (word >> 16 & 15) % 13;
    uint32_t rs2 = word >> 12 & 15;
    uint32_t imm = word & 0xFFF;
    if (kind >= 0xFE) {
        return word;
    }
    if (kind >= 0xF0) {
        return (word & 0x00FFFFFF) | op << 24;
    }
    if (op >= 0x21 && op <= 0x23) {
        imm = imm % count * 4 & 0xFFF;
    } else if (op == 0x24) {
        rs1 = 0;
        imm = (imm % count - at) & 0xFFF;
    } else if (op == 0x30) {
        imm = (const uint32_t[4]){0x000, 0x600, 0x101, 0x000}[imm % 4];
    } else if (op == 0x02 || op == 0x03 || (op >= 0x06 && op <= 0x09)) {
        rs1 = 13 + (rs1 & 1);
        imm = (imm % 80 - 8) & 0xFFF;
    }
    return op << 24 | rd << 20 | rs1 << 16 | rs2 << 12 | imm;
}

// A version 1 image of the input: how long it is.
static size_t build(uint8_t *image, const uint8_t *settings, const uint8_t *code, size_t size) {
    uint32_t count = size / 4 < MAX_WORDS ? (uint32_t)size / 4 : MAX_WORDS;
    uint32_t ro_len = settings[3];
    uint8_t *p = image + HEADER;
    bool operand = false;
    count += count == 0 ? 1 : 0;
    memset(image, 0, HEADER + 4);
    memcpy(image, "HSXE\0\1", 6);
    for (uint32_t i = 0; i < size / 4 && i < count; i++) {
        uint32_t word = get_be32(code + 4 * i);
        if ((settings[0] & 1) == 0 && !operand) {
            word = plausible(word, i, count);
        }
        operand = !operand && word >> 24 == 0x60;
        put_be32(p + 4 * i, word);
    }
    put_be32(image + 0x0C, 4 * count);
    put_be32(image + 0x10, ro_len);
    put_be32(image + 0x14, settings[4]);
    p += 4 * count;
    for (uint32_t i = 0; i < ro_len; i++) {
        p[i] = (uint8_t)(i * 167 + 13);
    }
    put_be32(image + 0x1C, model_crc(image, HEADER + 4 * count + ro_len, HEADER));
    return HEADER + 4 * count + ro_len;
}

// ---- Running ----------------------------------------------------------------------------------

// The three, in the same state all the time, and the image that they run.
typedef struct trio {
    guarded_t sliced;
    guarded_t stepped;
    model_t model;
    const uint8_t *image;
    size_t len;
    verdict_t verdict;
    uint32_t stack;  // bytes asked for; 0: the default
    bool flat;
    uint32_t seed;
} trio_t;

enum { PID = 1 };

static void set(trio_t *t, uint32_t which, uint32_t value) {
    CHECK_EQ(hsx_set(&t->sliced.vm, PID, which, value), 0);
    CHECK_EQ(hsx_set(&t->stepped.vm, PID, which, value), 0);
    switch (which) {
        case HSX_PC:
            t->model.pc = value;
            break;
        case HSX_SP:
            t->model.sp = value;
            break;
        case HSX_PSW:
            t->model.psw = value & 15;
            break;
        case HSX_DEPTH:
            t->model.depth = value;
            break;
        case HSX_STEPS:
            t->model.steps = value;
            break;
        default:
            t->model.regs[which] = value;
            break;
    }
}

static uint32_t any_address(trio_t *t) {
    switch (below(&t->seed, 4)) {
        case 0:
            return any_value(&t->seed);
        case 1:
            return 0x4000 + below(&t->seed, 520) - 4;
        case 2:
            return t->model.stack_limit + below(&t->seed, 24) - 8;
        default:
            return 0x10000 - below(&t->seed, 48);
    }
}

static uint32_t any_pc(trio_t *t) {
    uint32_t choice = below(&t->seed, 16);
    if (choice == 0) {
        return any_value(&t->seed);
    }
    uint32_t pc = below(&t->seed, t->model.code_len + 4);
    return choice < 13 ? pc & ~3u : pc;
}

static void set_everything(trio_t *t) {
    for (uint32_t i = 0; i < 16; i++) {
        set(t, i, below(&t->seed, 3) == 0 ? any_address(t) : any_value(&t->seed));
    }
    set(t, HSX_PC, any_pc(t));
    set(t, HSX_SP, any_address(t));
    set(t, HSX_PSW, below(&t->seed, 16));
    set(t, HSX_DEPTH, below(&t->seed, 4) == 0 ? any_value(&t->seed) : below(&t->seed, 4));
    set(t, HSX_STEPS, any_value(&t->seed));
}

static void set_something(trio_t *t) {
    switch (below(&t->seed, 24)) {
        case 0:
            set(t, HSX_PC, any_pc(t));
            break;
        case 1:
            set(t, HSX_SP, any_address(t));
            break;
        case 2:
        case 3:
            set(t, HSX_PSW, below(&t->seed, 16));
            break;
        case 4:
            set(t, HSX_DEPTH, below(&t->seed, 3));
            break;
        case 5:
            set(t, HSX_STEPS, any_value(&t->seed));
            break;
        case 6:
            set(t, below(&t->seed, 16), any_address(t));
            break;
        default:
            break;
    }
}

static void compare(const trio_t *t) {
    guarded_compare(&t->sliced, PID, &t->model);
    guarded_compare_pids(&t->sliced, PID, &t->stepped, PID);
}

// One slice of all three: its stop.
static uint32_t clock_all(trio_t *t, uint32_t steps) {
    uint32_t before = t->model.steps;
    uint32_t stop = guarded_clock(&t->sliced, PID, steps);
    uint32_t stop_stepped = HSX_STOP_OK;
    CHECK_EQ(model_clock(&t->model, steps), stop);
    for (uint32_t i = 0; i < steps && stop_stepped == HSX_STOP_OK; i++) {
        stop_stepped = guarded_clock(&t->stepped, PID, 1);
    }
    CHECK_EQ(stop_stepped, stop);
    CHECK(guarded_get(&t->sliced, PID, HSX_STEPS) - before <= steps);
    compare(t);
    return stop;
}

// All three with a fresh task.
static void start(trio_t *t) {
    static uint8_t data_mem[0x10000];
    static uint8_t stack_mem[0x10000];
    uint32_t preset = t->flat ? HSX_STACK_FLAT : HSX_STACK_DEFAULT;
    CHECK_EQ(hsx_load(&t->sliced.vm, t->image, t->len, t->stack), PID);
    CHECK_EQ(hsx_load(&t->stepped.vm, t->image, t->len, t->stack), PID);
    model_start(&t->model, t->image, &t->verdict, t->flat, t->stack != 0 ? t->stack : preset,
                data_mem, stack_mem);
}

// The tasks end: their memory is back, and beside it nothing has changed.
static void end(trio_t *t) {
    for (int i = 0; i < 256; i++) {
        total_steps += t->model.retired[i];
        total_ops[i] += t->model.retired[i];
    }
    guarded_check(&t->sliced);
    guarded_check(&t->stepped);
    CHECK_EQ(hsx_unload(&t->sliced.vm, PID), 0);
    CHECK_EQ(hsx_unload(&t->stepped.vm, PID), 0);
}

static void run(trio_t *t, const uint8_t *settings) {
    uint32_t slice = slices[settings[1] & 7];
    bool anew = (settings[0] & 4) != 0;
    uint32_t left = MAX_STEPS;
    compare(t);
    for (int i = 0; i < MAX_SLICES && left != 0; i++) {
        uint32_t steps = below(&t->seed, 8) == 0 ? below(&t->seed, 60) : slice;
        if (anew) {
            set_everything(t);
            steps = 1;
        } else if ((settings[0] & 2) != 0) {
            set_something(t);
        }
        steps = steps < left ? steps : left;
        left -= steps;
        uint32_t stop = clock_all(t, steps);
        if (hsx_state(&t->sliced.vm, PID) == HSX_PARKED) {
            CHECK_EQ(guarded_clock(&t->sliced, PID, 1), stop);  // the same again, and nothing else
            compare(t);
            if (!anew) {
                return;
            }
            end(t);
            start(t);
            continue;
        }
        uint32_t reason = stop & 0xFF;
        CHECK(reason != HSX_STOP_FAULT && reason != HSX_STOP_EXIT && reason != HSX_STOP_RETURNED);
        if (reason == HSX_STOP_SVC || reason == HSX_STOP_SLEEP) {
            set(t, 0, 0);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t image[HEADER + 4 * MAX_WORDS + 256];
    trio_t t = {.image = image};
    if (size < SETTINGS) {
        return 0;
    }
    t.len = build(image, data, data + SETTINGS, size - SETTINGS);
    t.verdict = model_judge(image, t.len);
    CHECK_EQ(t.verdict.err, 0);
    t.flat = data[0] >> 4 == 15;
    t.stack = 4u * data[5];
    t.seed = (uint32_t)data[6] << 8 | data[7];
    uint32_t real = t.stack != 0 ? t.stack : t.flat ? HSX_STACK_FLAT : HSX_STACK_DEFAULT;
    uint32_t data_len = (t.verdict.ro_len + t.verdict.bss_size + 3) & ~3u;
    uint32_t memory = t.flat ? 0x10000 : data_len + real + 4;
    uint32_t pool = t.verdict.code_len + 4 + memory + (data[1] >> 3);
    guarded_make(&t.sliced, pool, 1, t.flat);
    guarded_make(&t.stepped, pool, 1, t.flat);
    start(&t);
    for (uint32_t i = 0; i < 13; i++) {
        set(&t, i, any_value(&t.seed));
    }
    set(&t, 13, 0x4000);
    set(&t, 14, HSX_STACK_TOP - real / 2);
    set(&t, HSX_PSW, data[2] & 15);
    set(&t, HSX_DEPTH, data[2] >> 4 & 3);
    run(&t, data);
    end(&t);
    guarded_drop(&t.sliced);
    guarded_drop(&t.stepped);
    return 0;
}

uint64_t harness_steps(const uint64_t **ops) {
    *ops = total_ops;
    return total_steps;
}
