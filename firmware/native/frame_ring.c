// SPDX-License-Identifier: MIT
//
// The ring of CAN frames. A cell is identifier | length << 11, low byte first, and 8 bytes of data.
// All of it is volatile, so that a cell is whole before the index says so.

#include "frame_ring.h"

static uint32_t next(const hsx_ring_t *ring, uint32_t cell) {
    return cell + 1 == ring->count ? 0 : cell + 1;
}

void hsx_ring_init(hsx_ring_t *ring, uint8_t *cells, uint32_t frames) {
    ring->cells = cells;
    ring->count = frames + 1;
    ring->head = 0;
    ring->tail = 0;
    ring->lost = 0;
}

int hsx_ring_put(hsx_ring_t *ring, uint32_t ident, const uint8_t *data, size_t len) {
    if (ident > 0x7FF || len > 8) {
        return 0;
    }
    uint32_t head = ring->head;
    uint32_t after = next(ring, head);
    if (after == ring->tail) {
        ring->lost++;
        return 0;
    }
    volatile uint8_t *cell = ring->cells + head * HSX_RING_CELL;
    uint32_t first = ident | (uint32_t)len << 11;
    *cell++ = (uint8_t)first;
    *cell++ = (uint8_t)(first >> 8);
    for (size_t i = 0; i < len; i++) {
        cell[i] = data[i];
    }
    ring->head = after;
    return 1;
}

int hsx_ring_get(hsx_ring_t *ring, uint8_t data[8]) {
    uint32_t tail = ring->tail;
    if (tail == ring->head) {
        return HSX_RING_EMPTY;
    }
    const volatile uint8_t *cell = ring->cells + tail * HSX_RING_CELL;
    uint32_t first = cell[0] | (uint32_t)cell[1] << 8;
    for (size_t i = 0; i < first >> 11; i++) {
        data[i] = cell[2 + i];
    }
    ring->tail = next(ring, tail);
    return (int)first;
}
