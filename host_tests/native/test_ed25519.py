# SPDX-License-Identifier: MIT
"""Checking signatures: the RFC's own, hostile ones, and any change of a good one."""

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from hsxvm import ed25519_verify
from judge import ed25519
from judge.ed25519 import GOOD, KEY, MESSAGE, PRIVATE

CASES = ed25519.cases()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_a_case_gets_its_verdict(case):
    _, key, message, signature, verdict = case
    assert ed25519_verify(key, message, signature) is verdict


def test_the_vectors_are_what_their_secret_keys_sign():
    for secret, key, message, signature in ed25519.RFC8032:
        private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret))
        assert private.public_key().public_bytes_raw().hex() == key
        assert private.sign(bytes.fromhex(message)).hex() == signature


def test_the_hostile_cases_are_hostile():
    """Those with small points fulfil the equation times 8: nothing but the point refuses them."""
    count = 0
    for name, key, message, signature, _ in CASES:
        if name.startswith(("small", "both")):
            h = ed25519.challenge(signature[:32], key, message)
            s = int.from_bytes(signature[32:], "little")
            points = []
            for part in (key, signature[:32]):
                number = int.from_bytes(part, "little")
                x, y = ed25519.recover((number & 2**255 - 1) % ed25519.P)
                points.append((x if x & 1 == number >> 255 or x == 0 else ed25519.P - x, y))
            left = ed25519.times(8 * s, ed25519.BASE)
            right = ed25519.add(points[1], ed25519.times(h, points[0]))
            assert left == ed25519.times(8, right), name
            count += 1
    assert count == 3 * 14


def test_every_changed_bit_is_refused():
    for at in range(256):
        key = bytearray(KEY)
        key[at // 8] ^= 1 << at % 8
        assert not ed25519_verify(key, MESSAGE, GOOD)
    for at in range(512):
        signature = bytearray(GOOD)
        signature[at // 8] ^= 1 << at % 8
        assert not ed25519_verify(KEY, MESSAGE, signature)
    for at in range(8 * len(MESSAGE)):
        message = bytearray(MESSAGE)
        message[at // 8] ^= 1 << at % 8
        assert not ed25519_verify(KEY, message, GOOD)


def test_a_message_of_any_length_is_hashed_whole():
    # The hash takes 64 bytes before the message and works in blocks of 128.
    text = hashlib.shake_128(b"text").digest(300)
    for size in range(300):
        signature = PRIVATE.sign(text[:size])
        assert ed25519_verify(KEY, text[:size], signature)
        assert not ed25519_verify(KEY, text[: size + 1], signature)


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=400))
def test_what_others_sign_is_good(secret, message):
    private = Ed25519PrivateKey.from_private_bytes(secret)
    key = private.public_key().public_bytes_raw()
    assert ed25519_verify(key, message, private.sign(message))
    assert not ed25519_verify(KEY, message, private.sign(message)) or key == KEY


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_arguments_may_be_any_kind_of_bytes(kind):
    assert ed25519_verify(kind(KEY), kind(MESSAGE), kind(GOOD)) is True
