// SPDX-License-Identifier: MIT
//
// Ed25519 signatures (RFC 8032): only checking them, which needs no secret. Files that include
// this are part of a build only where signatures are; curve arithmetic is Monocypher's.
#ifndef HSX_ED25519_H
#define HSX_ED25519_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HSX_ED25519_KEY = 32, HSX_ED25519_SIGNATURE = 64 };  // bytes

// Whether `signature` is that of `message` by the public key `key`; lengths are bytes, and any but
// the two above are false. Stricter than RFC 8032 asks for: S must be below the group's order, both
// points must be encoded in the one canonical way and not be of small order, so that no second
// signature and no key that fits all messages passes.
bool hsx_ed25519_verify(
    const uint8_t *key, size_t key_len, const uint8_t *message, size_t message_len,
    const uint8_t *signature, size_t signature_len
);

// SHA-512, running: init, update with any number of bytes any number of times, final.
typedef struct hsx_sha512 {
    uint64_t state[8];
    uint64_t length;  // bytes so far
    uint8_t block[128];
} hsx_sha512_t;

void hsx_sha512_init(hsx_sha512_t *hash);
void hsx_sha512_update(hsx_sha512_t *hash, const uint8_t *buf, size_t len);
void hsx_sha512_final(hsx_sha512_t *hash, uint8_t digest[64]);

#endif
