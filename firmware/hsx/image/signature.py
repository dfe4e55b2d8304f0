# SPDX-License-Identifier: MIT
"""What an image's signature covers, in which order, and whether it is right.

Signed is CONTEXT and the SHA-256 of the image, with the CRC field as zero and the payload of the
signature section left out (docs/hxe_format.md): so all of the header, its name and the section
table are covered, and the hash can be taken while the image streams by.
"""

import hashlib

from micropython import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

    from .header import Header

CONTEXT = b"HSX image 1\0"  # no signature over anything else begins so
MANIFEST_CONTEXT = b"HSX manifest 1\0"  # before the SHA-256 of a manifest's text
KEY_ID = 8  # bytes of a payload: the first of the public key
SIZE = 72  # bytes of a payload: key id, signature

_AT_CRC = const(0x1C)
_BEHIND_CRC = const(0x20)


class ImageDigest:
    """The hash of one image; `begin` with its header, then `update` with the rest, in order."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()

    def begin(self, header: "Header", head: "bytearray | memoryview") -> None:
        """Takes the header, with which `head` begins."""
        self._sha256.update(head[:_AT_CRC])
        self._sha256.update(bytes(_BEHIND_CRC - _AT_CRC))
        self._sha256.update(head[_BEHIND_CRC : header.size])

    def update(self, offset: int, view: "memoryview", hole: "tuple[int, int]") -> None:
        """Takes the bytes at file offset `offset`, any number. `hole`: file offsets of the payload
        of the signature section and of its end, as MetadataReader knows them once it has these
        bytes; 0, 0 before that."""
        start, end = hole
        before = min(max(start - offset, 0), len(view))
        behind = min(max(end - offset, 0), len(view))
        if before < behind:
            self._sha256.update(view[:before])
            self._sha256.update(view[behind:])
        else:
            self._sha256.update(view)

    def message(self) -> bytes:
        """What is signed; nothing can be added after this."""
        return CONTEXT + self._sha256.digest()


def is_good(
    payload: "bytes | memoryview",
    message: bytes,
    key: bytes,
    ed25519_verify: "Callable[[bytes, bytes, bytes], bool]",
) -> bool:
    """Whether a section's payload is the signature of `message` by the public key `key`, 32 bytes.
    `ed25519_verify(key, message, signature)` judges."""
    payload = bytes(payload)
    return payload[:KEY_ID] == key[:KEY_ID] and ed25519_verify(key, message, payload[KEY_ID:])
