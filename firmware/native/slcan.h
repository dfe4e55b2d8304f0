// SPDX-License-Identifier: MIT
//
// CAN frames as the lines of SLCAN, the LAWICEL ASCII protocol of serial CAN adapters: `t`, three
// hexadecimal digits of identifier, one of length, two for each byte of data, carriage return.
#ifndef HSX_SLCAN_H
#define HSX_SLCAN_H

#include <stddef.h>
#include <stdint.h>

enum { HSX_SLCAN_LINE = 22, HSX_SLCAN_BAD = -1 };  // bytes of the longest line; no such frame

// The frame in a line of `len` bytes without its end: identifier | length << 11, data in `data`.
// HSX_SLCAN_BAD, and `data` may have changed.
int hsx_slcan_parse(const uint8_t *line, size_t len, uint8_t data[8]);

// The line of a frame, its end included: how long it is. `ident` 0 to 0x7FF, `len` 0 to 8.
size_t hsx_slcan_format(
    uint32_t ident, const uint8_t *data, size_t len, uint8_t line[HSX_SLCAN_LINE]);

#endif
