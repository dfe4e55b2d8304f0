# SPDX-License-Identifier: MIT
"""A whole image, judged from start to end without keeping it.

The same rules as a load, in the same order: the header first, then checksum and length (rules 9
and 10 of spec/hxe_v2.md section 9), then the sections.
"""

import binascii

from micropython import const

from .. import errors
from ..errors import HsxError, bad_image
from . import header as hxe
from .sections import MetadataReader
from .signature import ImageDigest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

# The checksum leaves itself out and, in version 2, the rest of the header.
_AT_CRC = const(0x1C)


def verify(
    readinto: "Callable[[memoryview], int]",
    buf: "bytearray | memoryview",
    digest: "ImageDigest | None" = None,
) -> tuple:
    """(Header, Metadata, length in bytes) of the image that `readinto(view)` gives; 0 read is
    its end. It is read through `buf`, of any size. `digest`, a new one, takes what a signature
    covers; whether the signature is right is not judged here.

    Raises EBADMSG with `rule` and `offset`, ENOSPC, both with where="verify"."""
    try:
        return _verify(readinto, memoryview(buf), digest)
    except HsxError as error:
        error.where = "verify"
        raise


def _head(readinto: "Callable[[memoryview], int]") -> "memoryview":
    """The header's bytes, or all there are."""
    head = memoryview(bytearray(hxe.HEADER_V2))
    have = 0
    while have < hxe.needed(head, have):
        count = readinto(head[have : hxe.needed(head, have)])
        if not count:
            break
        have += count
    return head[:have]


def _verify(
    readinto: "Callable[[memoryview], int]", buf: "memoryview", digest: "ImageDigest | None"
) -> tuple:
    head = _head(readinto)
    header = hxe.parse(head)
    if digest is not None:
        digest.begin(head)
    reader = MetadataReader(header)
    crc = binascii.crc32(head[:_AT_CRC])
    length = header.size
    while True:
        count = readinto(buf)
        if not count:
            break
        crc = binascii.crc32(buf[:count], crc)
        start = max(header.body_end - length, 0)
        if start < count:
            reader.write(length + start, buf[start:count])
        if digest is not None:
            digest.update(length, buf[:count], reader.hole)
        length += count
    if crc != header.crc:
        raise bad_image(errors.RULE_CRC, "verify", _AT_CRC)
    if length < header.body_end:
        raise bad_image(errors.RULE_TRUNCATED, "verify", length)
    return header, reader.end(length), length
