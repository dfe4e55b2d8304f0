// SPDX-License-Identifier: MIT
//
// Ed25519 verification: our SHA-512 and checks of the points, Monocypher's equation.

#include "ed25519.h"

#include <string.h>

#include "monocypher.h"

// The y of the points whose order divides 8, little-endian; x has either sign.
static const uint8_t small_order[5][32] = {
    {0x00},
    {0x01},
    {
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0,
        0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
        0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39,
        0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    },
    {
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f,
        0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
        0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6,
        0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    },
    {
        0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
    },
};

// Whether y, without the sign of x, is below p = 2^255 - 19.
static bool is_canonical(const uint8_t y[32]) {
    if (y[0] < 0xed || y[31] != 0x7f) {
        return true;
    }
    for (unsigned i = 1; i < 31; i++) {
        if (y[i] != 0xff) {
            return true;
        }
    }
    return false;
}

// Whether an encoded point may be part of a signature; that it is on the curve is seen later.
static bool is_sound(const uint8_t point[32]) {
    uint8_t y[32];
    memcpy(y, point, sizeof y);
    y[31] &= 0x7f;
    for (unsigned i = 0; i < sizeof small_order / sizeof small_order[0]; i++) {
        if (memcmp(y, small_order[i], sizeof y) == 0) {
            return false;
        }
    }
    return is_canonical(y);
}

// The hash that binds R, key and message together, modulo the group's order.
static void challenge(
    uint8_t h[32], const uint8_t r[32], const uint8_t key[32], const uint8_t *message, size_t len
) {
    hsx_sha512_t hash;
    uint8_t digest[64];
    hsx_sha512_init(&hash);
    hsx_sha512_update(&hash, r, 32);
    hsx_sha512_update(&hash, key, 32);
    hsx_sha512_update(&hash, message, len);
    hsx_sha512_final(&hash, digest);
    crypto_eddsa_reduce(h, digest);
}

bool hsx_ed25519_verify(
    const uint8_t *key, size_t key_len, const uint8_t *message, size_t message_len,
    const uint8_t *signature, size_t signature_len
) {
    uint8_t h[32];
    if (key_len != HSX_ED25519_KEY || signature_len != HSX_ED25519_SIGNATURE) {
        return false;
    }
    if (!is_sound(key) || !is_sound(signature)) {
        return false;
    }
    challenge(h, signature, key, message, message_len);
    return crypto_eddsa_check_equation(signature, key, h) == 0;
}
