// SPDX-License-Identifier: MIT
//
// The ring of CAN frames, its memory allocated to the byte.

#include "unit.h"

#include <string.h>

#include "frame_ring.h"

static void ring_make(hsx_ring_t *ring, uint32_t frames) {
    uint8_t *cells = malloc((frames + 1) * HSX_RING_CELL);
    CHECK(cells != NULL);
    hsx_ring_init(ring, cells, frames);
}

static void ring_drop(hsx_ring_t *ring) {
    free((void *)(uintptr_t)ring->cells);
}

static void frames_of_every_length_come_back_from_every_cell(void) {
    hsx_ring_t ring;
    ring_make(&ring, 3);
    for (uint32_t n = 0; n < 100; n++) {
        uint8_t data[8];
        memset(data, (int)n, sizeof data);
        size_t len = n % 9;
        uint8_t *exact = malloc(len != 0 ? len : 1);
        CHECK(exact != NULL);
        memcpy(exact, data, len);
        CHECK_EQ(hsx_ring_put(&ring, 0x7FF - n, exact, len), 1);
        free(exact);
        uint8_t got[8] = {0xEE, 0xEE, 0xEE, 0xEE, 0xEE, 0xEE, 0xEE, 0xEE};
        CHECK_EQ(hsx_ring_get(&ring, got), (0x7FF - n) | len << 11);
        for (size_t i = 0; i < 8; i++) {
            CHECK_EQ(got[i], i < len ? n : 0xEE);
        }
    }
    ring_drop(&ring);
}

static void a_full_ring_keeps_what_it_has_and_counts_the_rest(void) {
    uint8_t none[8];
    hsx_ring_t ring;
    ring_make(&ring, 2);
    for (uint32_t n = 0; n < 5; n++) {
        CHECK_EQ(hsx_ring_put(&ring, n, none, 0), n < 2);
    }
    CHECK_EQ(ring.lost, 3);
    CHECK_EQ(hsx_ring_get(&ring, none), 0);
    CHECK_EQ(hsx_ring_get(&ring, none), 1);
    CHECK(hsx_ring_get(&ring, none) == HSX_RING_EMPTY);
    ring_drop(&ring);
}

static void what_is_no_frame_of_this_kind_is_left_out(void) {
    uint8_t data[9] = {0};
    hsx_ring_t ring;
    ring_make(&ring, 1);
    CHECK_EQ(hsx_ring_put(&ring, 0x800, data, 0), 0);
    CHECK_EQ(hsx_ring_put(&ring, UINT32_MAX, data, 0), 0);
    CHECK_EQ(hsx_ring_put(&ring, 0, data, 9), 0);
    CHECK_EQ(hsx_ring_put(&ring, 0, data, SIZE_MAX), 0);
    CHECK(hsx_ring_get(&ring, data) == HSX_RING_EMPTY);
    CHECK_EQ(ring.lost, 0);
    ring_drop(&ring);
}

void run_frame_ring_tests(void) {
    RUN(frames_of_every_length_come_back_from_every_cell);
    RUN(a_full_ring_keeps_what_it_has_and_counts_the_rest);
    RUN(what_is_no_frame_of_this_kind_is_left_out);
}
