// SPDX-License-Identifier: MIT
//
// A ring of CAN frames between one writer, an interrupt, and one reader that it may interrupt:
// identifiers of 11 bits, up to 8 bytes of data. Neither waits for the other.
#ifndef HSX_FRAME_RING_H
#define HSX_FRAME_RING_H

#include <stddef.h>
#include <stdint.h>

enum {
    HSX_RING_CELL = 10,  // bytes of memory that a frame takes
    HSX_RING_MAX = 1024,  // frames at most
    HSX_RING_EMPTY = -1,
};

typedef struct hsx_ring {
    volatile uint8_t *cells;
    uint32_t count;          // cells; one of them always stays empty
    volatile uint32_t head;  // cell that is written next, the writer's
    volatile uint32_t tail;  // cell that is read next, the reader's
    volatile uint32_t lost;  // frames that found the ring full, wraps; the writer's
} hsx_ring_t;

// Takes over `cells`, HSX_RING_CELL bytes for each frame and for one more.
void hsx_ring_init(hsx_ring_t *ring, uint8_t *cells, uint32_t frames);

// 1: taken. 0: not, as the ring is full, or as an identifier beyond 0x7FF or a length beyond 8 is no
// frame of this kind (such a one is not counted as lost).
int hsx_ring_put(hsx_ring_t *ring, uint32_t ident, const uint8_t *data, size_t len);

// The oldest frame leaves: its identifier | length << 11, its data in `data`. HSX_RING_EMPTY.
int hsx_ring_get(hsx_ring_t *ring, uint8_t data[8]);

#endif
