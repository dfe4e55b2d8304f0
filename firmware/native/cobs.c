// SPDX-License-Identifier: MIT
//
// COBS: each block is a code byte and code - 1 bytes that are not zero; a zero follows a block
// whose code is less than 255, except the last. Encoder and decoder look at each byte once, and the
// CRC once more.

#include "cobs.h"

#include "internal.h"

enum { CRC_LEN = 4, FULL = 255 };

// What the CRC of anything with its own CRC behind it comes to
static const uint32_t RESIDUE = 0x2144DF1C;

// state[3] while a frame goes on
enum {
    FRESH = 0,   // nothing of it came yet
    INSIDE = 1,
    OWED = 2,    // inside, and a zero comes before the next block
    SPOILED = 3, // rubbish up to the next zero
};

typedef struct encoder {
    uint8_t *out;
    size_t code_at;  // where the code of the open block goes
    size_t end;
} encoder_t;

static void close_block(encoder_t *e) {
    e->out[e->code_at] = (uint8_t)(e->end - e->code_at);
    e->code_at = e->end++;
}

static void put(encoder_t *e, const uint8_t *in, size_t len) {
    for (; len != 0; len--) {
        uint8_t byte = *in++;  // before the code that may be written over it
        if (e->end - e->code_at == FULL) {
            close_block(e);
        }
        if (byte == 0) {
            close_block(e);
        } else {
            e->out[e->end++] = byte;
        }
    }
}

int hsx_cobs_encode(uint8_t *buf, size_t buf_len, size_t at, size_t content, size_t len) {
    if (len > HSX_COBS_MAX || at > buf_len || content > buf_len || len > buf_len - content) {
        return HSX_EINVAL;
    }
    size_t gap = 2 + (len + CRC_LEN) / 254;
    if (content < at || content - at < gap || buf_len - at < gap + len + CRC_LEN) {
        return HSX_EINVAL;
    }
    uint8_t *out = buf + at;
    const uint8_t *in = buf + content;
    uint32_t crc = hsx_crc32(0, in, len);
    const uint8_t tail[CRC_LEN] = {
        (uint8_t)crc, (uint8_t)(crc >> 8), (uint8_t)(crc >> 16), (uint8_t)(crc >> 24),
    };
    encoder_t e = {.out = out, .code_at = 0, .end = 1};
    put(&e, in, len);
    put(&e, tail, CRC_LEN);
    out[e.code_at] = (uint8_t)(e.end - e.code_at);
    out[e.end++] = 0;
    return (int)e.end;
}

// How a frame of `have` bytes, `left` of them missing in its last block, has ended.
static uint8_t judge(uint8_t phase, size_t left, const uint8_t *out, size_t have) {
    if (phase == FRESH) {
        return HSX_COBS_EMPTY;
    }
    if (phase == SPOILED || left != 0 || have <= CRC_LEN || hsx_crc32(0, out, have) != RESIDUE) {
        return HSX_COBS_BROKEN;
    }
    return HSX_COBS_GOOD;
}

size_t hsx_cobs_decode(
    uint8_t state[HSX_COBS_STATE], uint8_t *out, size_t room, const uint8_t *in, size_t len
) {
    size_t have = (size_t)(state[0] | state[1] << 8);
    size_t left = state[2];
    uint8_t phase = state[3];
    size_t at = 0;
    if (room > HSX_COBS_MAX + CRC_LEN) {
        room = HSX_COBS_MAX + CRC_LEN;
    }
    if (phase > SPOILED) {
        have = left = 0;
        phase = FRESH;
    }
    if (have > room) {
        phase = SPOILED;
    }
    while (at < len && in[at] != 0) {
        if (phase == SPOILED) {
            at++;
            continue;
        }
        if (left == 0) {
            if (phase == OWED && have < room) {
                out[have++] = 0;
            } else if (phase == OWED) {
                phase = SPOILED;
                continue;
            }
            left = in[at++] - 1u;
            phase = left == FULL - 1 ? INSIDE : OWED;
            continue;
        }
        size_t run = left < len - at ? left : len - at;
        if (run > room - have) {
            phase = SPOILED;
            continue;
        }
        const uint8_t *from = in + at, *end = from + run;
        uint8_t *to = out + have;
        while (from != end && *from != 0) {
            *to++ = *from++;
        }
        run -= (size_t)(end - from);
        at += run;
        have += run;
        left -= run;
    }
    bool ended = at < len;
    if (ended) {
        phase = judge(phase, left, out, have);
        have = phase == HSX_COBS_GOOD ? have - CRC_LEN : 0;
        left = 0;
        at++;
    }
    state[0] = (uint8_t)have;
    state[1] = (uint8_t)(have >> 8);
    state[2] = (uint8_t)left;
    state[3] = phase;
    return ended ? at : 0;
}
