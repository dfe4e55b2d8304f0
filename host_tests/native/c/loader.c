// SPDX-License-Identifier: MIT
//
// The loader: every rule, in one piece and in every two pieces, and every wrong call.

#include "unit.h"

#include <string.h>

enum { POOL = 70000, STACK = 64 };

typedef struct outcome {
    int err;
    uint32_t rule;
    uint32_t offset;
    size_t body;  // index of the first byte behind the body
} outcome_t;

// A load in two pieces; the PID, if there is one, is given back.
static outcome_t load_cut(bench_t *b, const image_t *image, size_t cut, uint32_t stack) {
    outcome_t out = {.body = image->len};
    size_t body[2] = {cut, image->len - cut};
    int pid = hsx_load_begin(&b->vm, 0);
    CHECK(pid > 0);
    uint32_t id = (uint32_t)pid;
    uint8_t *first = malloc(cut + 1);
    uint8_t *second = malloc(image->len - cut + 1);
    CHECK(first != NULL && second != NULL);
    memcpy(first + 1, image->bytes, cut);  // at odd addresses, to their last byte
    memcpy(second + 1, image->bytes + cut, image->len - cut);
    out.err = hsx_load_write(&b->vm, id, first + 1, cut, &body[0]);
    if (out.err == 0) {
        out.err = hsx_load_write(&b->vm, id, second + 1, image->len - cut, &body[1]);
    }
    if (out.err == 0) {
        out.body = body[0] < cut ? body[0] : cut + body[1];
        out.err = hsx_load_end(&b->vm, id, stack);
    }
    free(first);
    free(second);
    if (out.err != 0) {
        out.rule = hsx_load_error(&b->vm)->rule;
        out.offset = hsx_load_error(&b->vm)->offset;
        CHECK(hsx_load_error(&b->vm)->err == out.err);
        CHECK(hsx_state(&b->vm, id) == HSX_FAILED);
        CHECK_EQ(hsx_free(&b->vm), POOL);  // already now
        CHECK(hsx_load_abort(&b->vm, id) == 0);
    } else {
        CHECK(hsx_unload(&b->vm, id) == 0);
    }
    return out;
}

// The same outcome at every cut.
static outcome_t load_every_way(const image_t *image, uint32_t stack) {
    bench_t b;
    bench_make(&b, POOL, 1, false);
    outcome_t whole = load_cut(&b, image, image->len, stack);
    for (size_t cut = 0; cut < image->len; cut++) {
        outcome_t out = load_cut(&b, image, cut, stack);
        CHECK(out.err == whole.err);
        CHECK_EQ(out.rule, whole.rule);
        CHECK_EQ(out.offset, whole.offset);
        CHECK(out.err != 0 || out.body == whole.body);
    }
    bench_drop(&b);
    return whole;
}

static void refused(const image_t *image, uint32_t rule, uint32_t offset) {
    outcome_t out = load_every_way(image, STACK);
    CHECK(out.err == (rule == HSX_RULE_MEMORY ? HSX_ENOSPC : HSX_EBADMSG));
    CHECK_EQ(out.rule, rule);
    CHECK_EQ(out.offset, offset);
}

static void both_versions_load_at_every_cut(void) {
    image_t one = IMAGE("some data", RET, RET);
    image_t two = as_version_2(&one);
    CHECK(load_every_way(&one, STACK).err == 0);
    CHECK(load_every_way(&two, STACK).err == 0);
}

static void bytes_behind_the_body_are_the_callers(void) {
    image_t image = IMAGE("data", RET);
    memcpy(image.bytes + image.len, "metadata", 8);
    size_t body = image.len;
    image.len += 8;
    seal(&image);
    outcome_t out = load_every_way(&image, STACK);
    CHECK(out.err == 0);
    CHECK_EQ(out.body, body);
}

static void every_truncation_is_refused(void) {
    image_t one = IMAGE("data", RET);
    image_t two = as_version_2(&one);
    for (size_t len = 0; len < two.len; len++) {
        image_t cut = two;
        cut.len = len;
        refused(&cut, len < 32 ? HSX_RULE_SHORT : len < 96 ? HSX_RULE_SHORT_V2 : HSX_RULE_CRC,
                len < 96 ? (uint32_t)len : AT_CRC);
    }
}

static void a_body_that_is_short_with_a_right_crc_is_truncated(void) {
    image_t image = IMAGE("data", RET);
    image.len -= 1;
    seal(&image);
    refused(&image, HSX_RULE_TRUNCATED, (uint32_t)image.len);
}

static void each_wrong_field_is_refused_where_it_stands(void) {
    static const struct {
        size_t at;
        uint32_t value;
        uint32_t rule;
    } wrong[] = {
        {0x00, 0x48535846, HSX_RULE_MAGIC},       {AT_ENTRY, 8, HSX_RULE_ENTRY},
        {AT_ENTRY, 0xFFFFFFFC, HSX_RULE_ENTRY},   {AT_ENTRY, 2, HSX_RULE_ALIGN},
        {AT_CODE_LEN, 0x10001, HSX_RULE_TOO_LARGE}, {AT_CODE_LEN, 6, HSX_RULE_ALIGN},
        {AT_CODE_LEN, 0xFFFFFFFF, HSX_RULE_TOO_LARGE}, {AT_RO_LEN, 0x10001, HSX_RULE_TOO_LARGE},
        {AT_BSS, 0x10001, HSX_RULE_TOO_LARGE},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        image_t image = IMAGE("data", RET, RET);
        put32(&image, wrong[i].at, wrong[i].value);
        seal(&image);
        refused(&image, wrong[i].rule, (uint32_t)wrong[i].at);
    }
}

static void a_wrong_version_is_refused(void) {
    image_t image = IMAGE("", RET);
    image.bytes[5] = 3;
    refused(&image, HSX_RULE_VERSION, 4);
    image.bytes[4] = 1;
    image.bytes[5] = 1;
    refused(&image, HSX_RULE_VERSION, 4);
}

static void code_of_no_length_has_no_entry(void) {
    image_t image = {.len = 32};
    memcpy(image.bytes, "HSXE\0\1", 6);
    seal(&image);
    refused(&image, HSX_RULE_ENTRY, AT_ENTRY);
}

static void data_ends_below_the_top_or_is_refused(void) {
    image_t image = IMAGE("data", RET);
    put32(&image, AT_BSS, HSX_DATA_TOP - HSX_DATA_BASE - 4);
    seal(&image);
    CHECK(load_every_way(&image, STACK).err == 0);
    put32(&image, AT_BSS, HSX_DATA_TOP - HSX_DATA_BASE - 3);
    seal(&image);
    refused(&image, HSX_RULE_DATA_WINDOW, AT_RO_LEN);
}

static void every_reserved_byte_must_be_zero(void) {
    image_t one = IMAGE("", RET);
    for (uint32_t at = 0x48; at < 0x60; at++) {
        image_t image = as_version_2(&one);
        image.bytes[at] = 1;
        refused(&image, HSX_RULE_RESERVED, at);
    }
}

static void a_name_is_ascii_up_to_its_end(void) {
    image_t one = IMAGE("", RET);
    image_t image = as_version_2(&one);
    memcpy(image.bytes + 0x20, "ab\x80", 3);
    refused(&image, HSX_RULE_NAME_ASCII, 0x22);
    image.bytes[0x21] = 0;  // what follows the end does not matter
    CHECK(load_every_way(&image, STACK).err == 0);
}

static void a_table_inside_the_body_is_refused(void) {
    image_t one = IMAGE("data", RET);
    image_t image = as_version_2(&one);
    put32(&image, 0x40, (uint32_t)image.len);
    CHECK(load_every_way(&image, STACK).err == 0);
    put32(&image, 0x40, (uint32_t)image.len - 1);
    refused(&image, HSX_RULE_TABLE_OVERLAP, 0x40);
}

static void every_changed_bit_of_the_body_is_seen(void) {
    image_t good = IMAGE("data", RET);
    bench_t b;
    bench_make(&b, POOL, 1, false);
    for (size_t bit = 8 * 32; bit < 8 * good.len; bit++) {
        image_t image = good;
        image.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CHECK(hsx_load(&b.vm, image.bytes, image.len, STACK) == HSX_EBADMSG);
        CHECK_EQ(hsx_load_error(&b.vm)->rule, HSX_RULE_CRC);
    }
    bench_drop(&b);
}

static void a_stack_that_reaches_into_the_data_is_enospc(void) {
    image_t image = IMAGE("data", RET);
    CHECK(load_every_way(&image, HSX_STACK_TOP - HSX_DATA_BASE - 4).err == 0);
    outcome_t out = load_every_way(&image, HSX_STACK_TOP - HSX_DATA_BASE - 3);
    CHECK(out.err == HSX_ENOSPC && out.rule == HSX_RULE_MEMORY);
    CHECK(load_every_way(&image, 0xFFFFFFFF).err == HSX_ENOSPC);
}

static void wrong_calls_say_which_state_is_wrong(void) {
    bench_t b;
    uint8_t byte = 0;
    size_t body = 7;
    bench_make(&b, POOL, 2, false);
    uint32_t ready = LOAD(&b, STACK, RET);
    for (uint32_t pid = 0; pid < 6; pid += 2) {  // 0, free, beyond the table
        CHECK(hsx_load_write(&b.vm, pid, &byte, 1, &body) == HSX_ESRCH);
        CHECK(hsx_load_end(&b.vm, pid, 0) == HSX_ESRCH);
        CHECK(hsx_load_abort(&b.vm, pid) == HSX_ESRCH);
    }
    CHECK(hsx_load_write(&b.vm, ready, &byte, 1, &body) == HSX_EBUSY);
    CHECK(hsx_load_end(&b.vm, ready, 0) == HSX_EBUSY);
    CHECK(hsx_load_abort(&b.vm, ready) == HSX_ESRCH);
    int loading = hsx_load_begin(&b.vm, 0);
    CHECK(loading == 2);
    CHECK(hsx_load_write(&b.vm, 2, &byte, 0, &body) == 0 && body == 0);
    CHECK(hsx_load_end(&b.vm, 2, 0) == HSX_EBADMSG);  // no byte came
    CHECK(hsx_load_write(&b.vm, 2, &byte, 1, &body) == HSX_EBUSY);
    CHECK(hsx_load_end(&b.vm, 2, 0) == HSX_EBUSY);
    CHECK(hsx_load_abort(&b.vm, 2) == 0);
    CHECK(hsx_unload(&b.vm, ready) == 0);
    bench_drop(&b);
}

static void loads_may_take_turns(void) {
    image_t images[2] = {IMAGE("first", RET, SPIN), IMAGE("other", SPIN, RET)};
    bench_t b;
    size_t body;
    bench_make(&b, POOL, 2, false);
    CHECK(hsx_load_begin(&b.vm, 0) == 1);
    CHECK(hsx_load_begin(&b.vm, 0) == 2);
    for (size_t at = 0; at < images[0].len; at++) {
        for (uint32_t pid = 1; pid <= 2; pid++) {
            CHECK(hsx_load_write(&b.vm, pid, images[pid - 1].bytes + at, 1, &body) == 0);
        }
    }
    CHECK(hsx_load_end(&b.vm, 1, STACK) == 0);
    CHECK(hsx_load_end(&b.vm, 2, STACK) == 0);
    CHECK(hsx_clock(&b.vm, 1, 5) == STOP(RETURNED, 0));
    CHECK(hsx_clock(&b.vm, 2, 5) == STOP(OK, 0));
    CHECK(hsx_unload(&b.vm, 1) == 0);
    CHECK(hsx_unload(&b.vm, 2) == 0);
    bench_drop(&b);
}

void run_loader_tests(void) {
    RUN(both_versions_load_at_every_cut);
    RUN(bytes_behind_the_body_are_the_callers);
    RUN(every_truncation_is_refused);
    RUN(a_body_that_is_short_with_a_right_crc_is_truncated);
    RUN(each_wrong_field_is_refused_where_it_stands);
    RUN(a_wrong_version_is_refused);
    RUN(code_of_no_length_has_no_entry);
    RUN(data_ends_below_the_top_or_is_refused);
    RUN(every_reserved_byte_must_be_zero);
    RUN(a_name_is_ascii_up_to_its_end);
    RUN(a_table_inside_the_body_is_refused);
    RUN(every_changed_bit_of_the_body_is_seen);
    RUN(a_stack_that_reaches_into_the_data_is_enospc);
    RUN(wrong_calls_say_which_state_is_wrong);
    RUN(loads_may_take_turns);
}
