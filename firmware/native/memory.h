// SPDX-License-Identifier: MIT
//
// Byte order and guest memory. The image is big-endian, the guest little-endian; compilers turn
// the byte-wise forms into single loads and stores where the machine has them.
#ifndef HSX_MEMORY_H
#define HSX_MEMORY_H

#include <string.h>

#include "hsxvm.h"

static inline uint32_t get_be16(const uint8_t *p) {
    return (uint32_t)p[0] << 8 | p[1];
}

static inline uint32_t get_be32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint32_t get_le16(const uint8_t *p) {
    return (uint32_t)p[1] << 8 | p[0];
}

static inline uint32_t get_le32(const uint8_t *p) {
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

// A word in the machine's own order at any address.
static inline uint32_t get_native32(const uint8_t *p) {
    uint32_t value;
    memcpy(&value, p, sizeof value);
    return value;
}

static inline void put_native32(uint8_t *p, uint32_t value) {
    memcpy(p, &value, sizeof value);
}

static inline void put_le16(uint8_t *p, uint32_t value) {
    p[0] = (uint8_t)value;
    p[1] = (uint8_t)(value >> 8);
}

static inline void put_le32(uint8_t *p, uint32_t value) {
    p[0] = (uint8_t)value;
    p[1] = (uint8_t)(value >> 8);
    p[2] = (uint8_t)(value >> 16);
    p[3] = (uint8_t)(value >> 24);
}

// Where `size` (1, 2 or 4) bytes at guest address `addr` (0 .. 0xFFFF) are held; NULL where they
// are not wholly inside one window. An address below a window's base gives a huge offset, so one
// comparison is enough for each.
static inline uint8_t *guest_at(const hsx_run_t *run, uint32_t addr, uint32_t size) {
    uint32_t offset = addr - run->stack.base;
    if (offset <= run->stack.last + (4 - size)) {
        return run->stack.mem + offset;
    }
    offset = addr - run->data.base;
    if (offset <= run->data.last + (4 - size)) {
        return run->data.mem + offset;
    }
    return NULL;
}

#endif
