// SPDX-License-Identifier: MIT
//
// SLCAN lines from and to frames.

#include "slcan.h"

// The number in `count` digits, at most 7; negative for anything else.
static int32_t number(const uint8_t *digits, size_t count) {
    int32_t value = 0;
    for (size_t i = 0; i < count; i++) {
        uint8_t c = digits[i];
        uint8_t letter = (uint8_t)((c | 0x20) - 'a');
        if (c >= '0' && c <= '9') {
            value = value << 4 | (c - '0');
        } else if (letter < 6) {
            value = value << 4 | (letter + 10);
        } else {
            return HSX_SLCAN_BAD;
        }
    }
    return value;
}

static uint8_t *put(uint8_t *at, uint32_t value, uint32_t digits) {
    while (digits-- != 0) {
        *at++ = (uint8_t)"0123456789ABCDEF"[value >> 4 * digits & 15];
    }
    return at;
}

int hsx_slcan_parse(const uint8_t *line, size_t len, uint8_t data[8]) {
    if (len < 5 || line[0] != 't') {
        return HSX_SLCAN_BAD;
    }
    int32_t ident = number(line + 1, 3);
    int32_t count = number(line + 4, 1);
    if (ident < 0 || ident > 0x7FF || count < 0 || count > 8 || len != 5 + 2 * (size_t)count) {
        return HSX_SLCAN_BAD;
    }
    for (int32_t i = 0; i < count; i++) {
        int32_t byte = number(line + 5 + 2 * i, 2);
        if (byte < 0) {
            return HSX_SLCAN_BAD;
        }
        data[i] = (uint8_t)byte;
    }
    return ident | count << 11;
}

size_t hsx_slcan_format(
    uint32_t ident, const uint8_t *data, size_t len, uint8_t line[HSX_SLCAN_LINE]
) {
    uint8_t *at = line;
    *at++ = 't';
    at = put(at, ident, 3);
    at = put(at, (uint32_t)len, 1);
    for (size_t i = 0; i < len; i++) {
        at = put(at, data[i], 2);
    }
    *at++ = '\r';
    return (size_t)(at - line);
}
