// SPDX-License-Identifier: MIT
//
// Frames of a serial line: content, then its CRC-32 (little-endian, zlib's), both together in
// COBS, then one zero. No other byte on the line is zero, so a receiver that comes in at any point
// finds the next frame.
#ifndef HSX_COBS_H
#define HSX_COBS_H

#include <stddef.h>
#include <stdint.h>

enum {
    HSX_COBS_STATE = 4,         // bytes that a decoder keeps between two calls; zeros to begin with
    HSX_COBS_MAX = 0xFFFF - 4,  // longest content
};

// What hsx_cobs_decode() leaves in state[3] when a frame has ended; less than 4: it goes on.
enum {
    HSX_COBS_EMPTY = 4,   // a zero with nothing before it
    HSX_COBS_GOOD = 5,    // the content is in `out`, its length in state[0] | state[1] << 8
    HSX_COBS_BROKEN = 6,  // wrong CRC, cut short, or longer than `room`
};

// Turns the content buf[content] .. buf[content + len - 1] into its frame, from buf[at] on, and
// writes over it. Returns the frame's length: at most len + 4 + (len + 4) / 254 + 2, and so much
// must lie between `at` and the end of `buf`. The content begins at at + 2 + (len + 4) / 254 or
// later, so that it is read before it is written over. HSX_EINVAL where it is not so.
int hsx_cobs_encode(uint8_t *buf, size_t buf_len, size_t at, size_t content, size_t len);

// Takes bytes of the line, any number, up to the end of the first frame in them, and writes
// content and CRC to `out`, which must be the same in all calls for a frame. Returns the bytes taken
// if a frame has ended, and state[3] says how; 0 if all were taken and it goes on.
size_t hsx_cobs_decode(
    uint8_t state[HSX_COBS_STATE], uint8_t *out, size_t room, const uint8_t *in, size_t len
);

#endif
