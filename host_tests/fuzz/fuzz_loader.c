// SPDX-License-Identifier: MIT
//
// The loader under a fuzzer. One input is one image, or what passes for one. It is loaded in one
// piece, and again in pieces of every size, each in a buffer that ends where the piece ends, beside
// a neighbour that must notice nothing; and once more, to be aborted somewhere. Errno, rule and
// offset are the same each time, and what the model says of the whole image. What loads is run, in
// step with the model; then every byte is back.
//
// Input: 6 bytes of settings, then the image.
//   0  bit 0: the CRC is set right before anything else; bit 1: so is the magic; bits 7:4 all
//      set: flat profile
//   1  pool   2  stack   3, 4  seed of the cuts   5  bits 7:0 slice in steps, 0: all at once

#include <string.h>

#include "check.h"
#include "entropy.h"
#include "guarded.h"
#include "harness.h"

enum { SETTINGS = 6, MAX_IMAGE = 1 << 16, MAX_STEPS = 300, TASKS = 3 };

static uint64_t total_steps;
static uint64_t total_ops[256];

// What a load came to.
typedef struct outcome {
    int err;
    uint32_t rule;
    uint32_t offset;
    size_t body;  // where metadata begins, seen from the start of the image
} outcome_t;

static bool same(const outcome_t *a, const outcome_t *b) {
    return a->err == b->err && a->rule == b->rule && a->offset == b->offset && a->body == b->body;
}

static outcome_t failed(const guarded_t *g, int err, size_t body) {
    const hsx_error_t *error = hsx_load_error(&g->vm);
    CHECK(error->err == err);
    return (outcome_t){err, error->rule, error->offset, body};
}

// Bytes of the next piece: mostly few, some none, now and then all that is left.
static size_t piece(uint32_t *seed, size_t left) {
    static const uint32_t limits[8] = {2, 2, 4, 8, 33, 97, 300, 0xFFFFFFFF};
    uint32_t limit = limits[below(seed, 8)];
    size_t n = limit > left ? left : below(seed, limit);
    return n < left ? n : left;
}

// Writes in pieces that `seed` draws (NULL: in one), at most `upto` bytes.
static outcome_t write_pieces(guarded_t *g, uint32_t pid, const uint8_t *image, size_t upto,
                              uint32_t *seed) {
    outcome_t out = {.body = upto};
    uint8_t *buffer = malloc(upto != 0 ? upto : 1);
    size_t at = 0;
    bool found = false;
    CHECK(buffer != NULL);
    do {
        size_t n = seed == NULL ? upto : piece(seed, upto - at);
        size_t body = n + 1;
        uint8_t *end = buffer + upto;  // a piece lies at the end of what was allocated
        memcpy(end - n, image + at, n);
        int err = hsx_load_write(&g->vm, pid, end - n, n, &body);
        if (err != 0) {
            out = failed(g, err, 0);
            break;
        }
        CHECK(body <= n);
        if (body < n && !found) {
            found = true;
            out.body = at + body;
        } else {
            CHECK(body == (found ? 0 : n) || n == 0);
        }
        at += n;
    } while (at < upto);
    free(buffer);
    return out;
}

// A whole load. If it fails, nothing is left of it.
static outcome_t load(guarded_t *g, const uint8_t *image, size_t len, uint32_t stack,
                      uint32_t *seed, uint32_t *pid) {
    uint32_t before = hsx_free(&g->vm);
    int got = hsx_load_begin(&g->vm, 0);
    CHECK(got > 0);
    *pid = (uint32_t)got;
    outcome_t out = write_pieces(g, *pid, image, len, seed);
    if (out.err == 0) {
        int err = hsx_load_end(&g->vm, *pid, stack);
        if (err != 0) {
            out = failed(g, err, 0);
        }
    }
    if (out.err != 0) {
        CHECK(hsx_state(&g->vm, *pid) == HSX_FAILED);
        CHECK_EQ(hsx_free(&g->vm), before);
        CHECK(hsx_load_end(&g->vm, *pid, stack) == HSX_EBUSY);
        CHECK(hsx_load_abort(&g->vm, *pid) == 0);
        CHECK(hsx_state(&g->vm, *pid) == HSX_ESRCH);
    } else {
        CHECK(hsx_state(&g->vm, *pid) == HSX_READY);
        CHECK_EQ(before - hsx_free(&g->vm), guarded_get(g, *pid, HSX_ARENA));
    }
    return out;
}

// ---- Running what was loaded ------------------------------------------------------------------

static void answer(guarded_t *g, uint32_t pid, uint32_t stop) {
    if ((stop & 0xFF) == HSX_STOP_SVC || (stop & 0xFF) == HSX_STOP_SLEEP) {
        CHECK_EQ(hsx_set(&g->vm, pid, 0, 0), 0);
    }
}

static void run(guarded_t *one, uint32_t pid, guarded_t *other, uint32_t other_pid, model_t *model,
                uint32_t slice) {
    uint32_t left = MAX_STEPS;
    guarded_compare(one, pid, model);
    guarded_compare_pids(one, pid, other, other_pid);
    while (left != 0 && hsx_state(&one->vm, pid) == HSX_READY) {
        uint32_t steps = slice != 0 && slice < left ? slice : left;
        uint32_t stop = guarded_clock(one, pid, steps);
        CHECK_EQ(guarded_clock(other, other_pid, steps), stop);
        CHECK_EQ(model_clock(model, steps), stop);
        answer(one, pid, stop);
        answer(other, other_pid, stop);
        if ((stop & 0xFF) == HSX_STOP_SVC || (stop & 0xFF) == HSX_STOP_SLEEP) {
            model->regs[0] = 0;
        }
        left -= steps;
    }
    guarded_compare(one, pid, model);
    guarded_compare_pids(one, pid, other, other_pid);
    CHECK(guarded_get(one, pid, HSX_STEPS) <= MAX_STEPS);
}

// ---- One input --------------------------------------------------------------------------------

static const uint8_t neighbour_image[] = {
    'H', 'S', 'X', 'E', 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0,
    0x41, 0x02, 0x77, 0x04,  // CRC
    0x21, 0,    0,    0,     // JMP 0
};
enum { NEIGHBOUR_STACK = 16, NEIGHBOUR = 4 + 4 + 8 + NEIGHBOUR_STACK + 4 };

static void set_right(uint8_t *image, size_t len, uint32_t what) {
    if ((what & 2) != 0 && len >= 6) {
        memcpy(image, "HSXE\0", 5);
        image[5] = (uint8_t)(1 + (image[5] & 1));
    }
    size_t header = len >= 6 && image[5] == 1 ? 32 : 96;
    if ((what & 1) != 0 && len >= header) {
        uint32_t crc = model_crc(image, len, header);
        for (int i = 0; i < 4; i++) {
            image[0x1C + i] = (uint8_t)(crc >> (24 - 8 * i));
        }
    }
}

// In pieces, to be aborted after `upto` bytes.
static void abort_at(guarded_t *g, const uint8_t *image, size_t upto, uint32_t *seed) {
    uint32_t before = hsx_free(&g->vm);
    int pid = hsx_load_begin(&g->vm, 0);
    CHECK(pid > 0);
    write_pieces(g, (uint32_t)pid, image, upto, seed);
    CHECK(hsx_load_abort(&g->vm, (uint32_t)pid) == 0);
    CHECK_EQ(hsx_free(&g->vm), before);
}

static void try_image(const uint8_t *image, size_t len, const uint8_t *settings) {
    static const uint32_t pools[8] = {60, 100, 400, 4096, 4096, 4096, 16384, 70000};
    static const uint32_t stacks[8] = {0, 4, 64, 64, 1, 1000, 0xBFFC, 0xFFFFFFFF};
    static uint8_t data_mem[0x10000];
    static uint8_t stack_mem[0x10000];
    bool flat = settings[0] >> 4 == 15;
    uint32_t pool = flat ? 70000u + settings[1] : pools[settings[1] & 7] + (settings[1] >> 3);
    uint32_t stack = stacks[settings[2] & 7];
    uint32_t seed = (uint32_t)settings[3] << 8 | settings[4];
    uint32_t whole_pid;
    uint32_t pid;
    guarded_t whole;
    guarded_t pieces;
    verdict_t verdict = model_judge(image, len);
    guarded_make(&whole, pool, 1, flat);
    outcome_t first = load(&whole, image, len, stack, NULL, &whole_pid);
    // Memory is refused before the CRC can be known, so that is the one other error.
    CHECK(first.err == verdict.err || first.err == HSX_ENOSPC);
    CHECK(first.err != HSX_EBADMSG || first.rule == verdict.rule);
    CHECK(first.err != HSX_ENOSPC || first.rule == HSX_RULE_MEMORY);

    guarded_make(&pieces, flat ? pool : pool + NEIGHBOUR, TASKS, flat);
    int neighbour = HSX_ENOSPC;
    if (!flat) {
        neighbour = hsx_load(&pieces.vm, neighbour_image, sizeof neighbour_image, NEIGHBOUR_STACK);
        CHECK_EQ(neighbour, 1);
    }
    abort_at(&pieces, image, below(&seed, (uint32_t)len + 1), &seed);
    outcome_t second = load(&pieces, image, len, stack, &seed, &pid);
    CHECK(same(&first, &second));
    if (first.err == 0) {
        static model_t model;
        uint32_t real = guarded_get(&whole, whole_pid, HSX_STACK_LIMIT);
        size_t body = verdict.header + verdict.code_len + verdict.ro_len;
        CHECK_EQ(first.body, body);
        model_start(&model, image, &verdict, flat, HSX_STACK_TOP - real, data_mem, stack_mem);
        run(&whole, whole_pid, &pieces, pid, &model, settings[5]);
        guarded_check(&whole);
        for (int i = 0; i < 256; i++) {
            total_steps += model.retired[i];
            total_ops[i] += model.retired[i];
        }
        CHECK_EQ(hsx_unload(&whole.vm, whole_pid), 0);
        CHECK_EQ(hsx_unload(&pieces.vm, pid), 0);
    }
    if (!flat) {
        CHECK_EQ(guarded_clock(&pieces, 1, 7), HSX_STOP_OK);
        CHECK_EQ(guarded_get(&pieces, 1, HSX_STEPS), 7);
        uint8_t quiet[8] = {1};
        CHECK(hsx_read(&pieces.vm, 1, HSX_DATA_BASE, quiet, 8) == 8);
        CHECK(memcmp(quiet, "\0\0\0\0\0\0\0", 8) == 0);
        CHECK_EQ(hsx_unload(&pieces.vm, 1), 0);
    }
    guarded_drop(&whole);
    guarded_drop(&pieces);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t image[MAX_IMAGE];
    if (size < SETTINGS || size - SETTINGS > MAX_IMAGE) {
        return 0;
    }
    memcpy(image, data + SETTINGS, size - SETTINGS);
    set_right(image, size - SETTINGS, data[0]);
    try_image(image, size - SETTINGS, data);
    return 0;
}

uint64_t harness_steps(const uint64_t **ops) {
    *ops = total_ops;
    return total_steps;
}
