# SPDX-License-Identifier: MIT
"""Signatures and what every tier must say of them: RFC 8032's own, and hostile ones.

The curve is done here in plain integers (RFC 8032 section 5.1), because what is hostile no signer
makes. Each case is (name, public key, message, signature, verdict).
"""

import hashlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493  # order of the base point
D = -121665 * pow(121666, -1, P) % P
I = pow(2, (P - 1) // 4, P)  # noqa: E741  the square root of -1

RFC8032 = (  # section 7.1: secret key, public key, message, signature
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555"
        "fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da0"
        "85ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac1"
        "8ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    (
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
        "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b5890"
        "9351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ),
)

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = PRIVATE.public_key().public_bytes_raw()
MESSAGE = b"what was meant"
GOOD = PRIVATE.sign(MESSAGE)


def add(a: tuple, b: tuple) -> tuple:
    """The sum of two points in affine coordinates."""
    product = D * a[0] * b[0] * a[1] * b[1] % P
    x = (a[0] * b[1] + b[0] * a[1]) * pow(1 + product, -1, P)
    y = (a[1] * b[1] + a[0] * b[0]) * pow(1 - product, -1, P)
    return x % P, y % P


def times(n: int, point: tuple) -> tuple:
    total = (0, 1)
    while n:
        if n & 1:
            total = add(total, point)
        point = add(point, point)
        n >>= 1
    return total


def recover(y: int) -> "tuple | None":
    """A point of this y, None if none has it."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * I % P
    return (x, y) if x * x % P == square else None


def encode(point: tuple) -> bytes:
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


BASE = next(p for p in [recover(4 * pow(5, -1, P) % P)] if p)
BASE = BASE if BASE[0] % 2 == 0 else (P - BASE[0], BASE[1])


def small_points() -> "list[tuple]":
    """The eight points whose order divides 8."""
    y = 2
    while True:
        point = recover(y)
        if point:
            point = times(L, point)
            if times(4, point) != (0, 1):
                return [times(n, point) for n in range(8)]
        y += 1


def encodings(points: "list[tuple]") -> "list[bytes]":
    """All ways to write these points down, those that RFC 8032 does not allow included."""
    found = set()
    for x, y in points:
        for number in (y, y + P):
            if number < 2**255:
                signs = (0, 1) if x == 0 else (x & 1,)
                found |= {(number | sign << 255).to_bytes(32, "little") for sign in signs}
    return sorted(found)


def challenge(r: bytes, key: bytes, message: bytes) -> int:
    return int.from_bytes(hashlib.sha512(r + key + message).digest(), "little") % L


def secret() -> int:
    """The number that PRIVATE signs with."""
    digest = bytearray(hashlib.sha512(PRIVATE.private_bytes_raw()).digest()[:32])
    digest[0] &= 0xF8
    digest[31] = digest[31] & 0x3F | 0x40
    return int.from_bytes(digest, "little")


def scalar(n: int) -> bytes:
    return n.to_bytes(32, "little")


def cases() -> "list[tuple[str, bytes, bytes, bytes, bool]]":
    """All cases."""
    found = []
    for number, (_, key, message, signature) in enumerate(RFC8032):
        words = [bytes.fromhex(text) for text in (key, message, signature)]
        found.append((f"RFC 8032 test {number + 1}", *words, True))
    found.append(("good", KEY, MESSAGE, GOOD, True))
    found.append(("another message", KEY, MESSAGE + b"!", GOOD, False))
    found.append(("another key", KEY[::-1], MESSAGE, GOOD, False))

    s = int.from_bytes(GOOD[32:], "little")
    for n in range(1, 16):
        if s + n * L < 2**256:
            high = GOOD[:32] + scalar(s + n * L)
            found.append((f"S + {n} L", KEY, MESSAGE, high, False))
    for name, number in (("0", 0), ("L", L), ("L - S", L - s), ("2^256 - 1", 2**256 - 1)):
        found.append((f"S = {name}", KEY, MESSAGE, GOOD[:32] + scalar(number), False))

    # With a key of small order, or with R of one, the equation holds times 8.
    r = 12345
    for number, point in enumerate(encodings(small_points())):
        known = encode(times(r, BASE)) + scalar(r)
        found.append((f"small key {number}", point, MESSAGE, known, False))
        h = challenge(point, KEY, MESSAGE)
        mine = point + scalar(h * secret() % L)
        found.append((f"small R {number}", KEY, MESSAGE, mine, False))
        found.append((f"both small {number}", point, MESSAGE, point + bytes(32), False))

    for y in range(2, 19):
        point = recover(y)
        for sign in (0, 1):
            twice = (y + P | sign << 255).to_bytes(32, "little")
            name = f"y = p + {y}" + (", no point" if point is None else "")
            found.append((f"key of {name}", twice, MESSAGE, GOOD, False))
            found.append((f"R of {name}", KEY, MESSAGE, twice + GOOD[32:], False))
    off = next(y for y in range(2, 99) if recover(y) is None).to_bytes(32, "little")
    found.append(("key off the curve", off, MESSAGE, GOOD, False))
    found.append(("R off the curve", KEY, MESSAGE, off + GOOD[32:], False))

    for size in (0, 1, 31, 33, 64):
        found.append((f"key of {size} bytes", (KEY * 2)[:size], MESSAGE, GOOD, False))
    for size in (0, 1, 32, 63, 65, 128):
        found.append((f"signature of {size} bytes", KEY, MESSAGE, (GOOD * 2)[:size], False))
    return found


def script(chosen: "list[tuple]") -> str:
    """Prints on a node, for each case, 1 or 0."""
    lines = ["import hsxvm", "unhex = bytes.fromhex"]
    for _, key, message, signature, _ in chosen:
        words = ", ".join(f"unhex('{part.hex()}')" for part in (key, message, signature))
        lines.append(f"print(int(hsxvm.ed25519_verify({words})), end='')")
    return "\n".join(lines)
