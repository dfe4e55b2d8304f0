// SPDX-License-Identifier: MIT
//
// Frames of a serial line, in buffers that end where the frame ends.

#include <string.h>

#include "unit.h"

#include "cobs.h"

enum { MOST = 1100 };

static size_t longest(size_t len) {
    return len + 4 + (len + 4) / 254 + 2;
}

// Content of several kinds: no zero, all zeros, and runs of 253 to 256 between them.
static void fill(uint8_t *content, size_t len, uint32_t kind) {
    for (size_t i = 0; i < len; i++) {
        bool zero = kind == 1 || (kind >= 253 && i % kind == kind - 1);
        content[i] = zero ? 0 : (uint8_t)(i % 255 + 1);
    }
}

// The frame of a content, in memory that ends with it.
static size_t encoded(uint8_t **frame, const uint8_t *content, size_t len) {
    size_t gap = longest(len) - len - 4;
    *frame = malloc(longest(len));
    memcpy(*frame + gap, content, len);
    int size = hsx_cobs_encode(*frame, longest(len), 0, gap, len);
    CHECK(size > 0 && (size_t)size <= longest(len));
    CHECK(memchr(*frame, 0, (size_t)size) == *frame + size - 1);
    return (size_t)size;
}

static void every_length_of_every_kind_comes_back_through_any_split(void) {
    static const uint32_t kinds[] = {0, 1, 253, 254, 255, 256};
    uint8_t content[MOST];
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        for (size_t len = 1; len <= MOST; len += len < 600 ? 1 : 37) {
            uint8_t *frame, *out = malloc(len + 4);
            fill(content, len, kinds[k]);
            size_t size = encoded(&frame, content, len);
            uint8_t state[HSX_COBS_STATE] = {0};
            size_t step = len % 7 == 0 ? size : len % 7;
            for (size_t at = 0; at < size; at += step) {
                size_t n = step < size - at ? step : size - at;
                size_t taken = hsx_cobs_decode(state, out, len + 4, frame + at, n);
                CHECK_EQ(taken, at + n == size ? n : 0);
            }
            CHECK_EQ(state[3], HSX_COBS_GOOD);
            CHECK_EQ(state[0] | state[1] << 8, len);
            CHECK(memcmp(out, content, len) == 0);
            free(frame);
            free(out);
        }
    }
}

static void where_the_content_lies_makes_no_difference(void) {
    for (size_t len = 1; len <= MOST; len += 3) {
        uint8_t content[MOST], *frame, *other;
        fill(content, len, len % 2 == 0 ? 0 : 254);
        size_t size = encoded(&frame, content, len);
        size_t at = len % 5, gap = longest(len) - len - 4 + len % 300;
        size_t room = at + gap + (len > longest(len) - gap ? len : longest(len) - gap);
        other = malloc(room);
        memcpy(other + at + gap, content, len);
        CHECK_EQ((size_t)hsx_cobs_encode(other, room, at, at + gap, len), size);
        CHECK(memcmp(other + at, frame, size) == 0);
        free(other);
        free(frame);
    }
}

static void too_little_room_is_refused(void) {
    uint8_t buf[400] = {0};
    size_t gap = longest(300) - 304;
    CHECK(hsx_cobs_encode(buf, longest(300), 0, gap, 300) > 0);
    CHECK_EQ(hsx_cobs_encode(buf, longest(300) - 1, 0, gap, 300), HSX_EINVAL);
    CHECK_EQ(hsx_cobs_encode(buf, longest(300), 1, gap + 1, 300), HSX_EINVAL);
    CHECK_EQ(hsx_cobs_encode(buf, sizeof buf, 0, gap - 1, 300), HSX_EINVAL);
    CHECK_EQ(hsx_cobs_encode(buf, sizeof buf, 9, 8, 300), HSX_EINVAL);
    CHECK_EQ(hsx_cobs_encode(buf, sizeof buf, 0, sizeof buf - 299, 300), HSX_EINVAL);
    CHECK_EQ(hsx_cobs_encode(buf, sizeof buf, 401, 401, 0), HSX_EINVAL);
    CHECK_EQ(hsx_cobs_encode(buf, sizeof buf, 0, SIZE_MAX, 1), HSX_EINVAL);
    CHECK_EQ(hsx_cobs_encode(buf, sizeof buf, 0, 9, SIZE_MAX), HSX_EINVAL);
    CHECK_EQ(hsx_cobs_encode(buf, SIZE_MAX, 0, 999, HSX_COBS_MAX + 1u), HSX_EINVAL);
}

static void a_frame_longer_than_the_room_is_broken_and_the_next_one_is_good(void) {
    uint8_t content[50], *frame, *out = malloc(40);
    fill(content, sizeof content, 254);
    uint8_t state[HSX_COBS_STATE] = {0};
    size_t size = encoded(&frame, content, 50);
    CHECK_EQ(hsx_cobs_decode(state, out, 40, frame, size), size);
    CHECK_EQ(state[3], HSX_COBS_BROKEN);
    free(frame);
    size = encoded(&frame, content, 36);
    CHECK_EQ(hsx_cobs_decode(state, out, 40, frame, size), size);
    CHECK_EQ(state[3], HSX_COBS_GOOD);
    free(frame);
    free(out);
}

static void every_changed_bit_is_seen(void) {
    uint8_t content[40], *frame, out[64];
    fill(content, sizeof content, 254);
    size_t size = encoded(&frame, content, sizeof content);
    for (size_t bit = 0; bit < 8 * (size - 1); bit++) {
        uint8_t state[HSX_COBS_STATE] = {0};
        frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
        size_t at = 0;
        while (at < size) {  // a byte that became zero makes two frames of it
            at += hsx_cobs_decode(state, out, sizeof out, frame + at, size - at);
            CHECK(state[3] == HSX_COBS_BROKEN || state[3] == HSX_COBS_EMPTY);
        }
        frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    free(frame);
}

static void any_state_is_taken(void) {
    uint8_t out[16], line[8] = {3, 9, 9, 2, 9, 0, 1, 1};
    for (uint32_t i = 0; i < 0x10000; i++) {
        uint8_t state[HSX_COBS_STATE] = {
            (uint8_t)i, (uint8_t)(i & 1), (uint8_t)(i >> 8), (uint8_t)(i >> 3),
        };
        size_t taken = hsx_cobs_decode(state, out, sizeof out, line, sizeof line);
        CHECK_EQ(taken, 6);
        CHECK(state[3] >= HSX_COBS_EMPTY);
    }
}

void run_cobs_tests(void) {
    RUN(every_length_of_every_kind_comes_back_through_any_split);
    RUN(where_the_content_lies_makes_no_difference);
    RUN(too_little_room_is_refused);
    RUN(a_frame_longer_than_the_room_is_broken_and_the_next_one_is_good);
    RUN(every_changed_bit_is_seen);
    RUN(any_state_is_taken);
}
