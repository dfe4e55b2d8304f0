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

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

    from ..contracts import Listener

# The checksum leaves itself out and, in version 2, the rest of the header.
_AT_CRC = const(0x1C)


class Verification:
    """Takes an image in pieces of any size; `end()` gives the verdict, but what is wrong with the
    header is raised as soon as it is complete. `listener`, an ImageDigest or a
    `contracts.Admission`, gets its `begin` and `update`: what it raises goes on."""

    def __init__(self, listener: "Listener | None" = None) -> None:
        self._listener = listener
        self._head = memoryview(bytearray(hxe.HEADER_V2))
        self._header: "hxe.Header | None" = None
        self._reader: "MetadataReader | None" = None
        self._crc = 0
        self._length = 0

    def write(self, view: "memoryview") -> None:
        """Takes the next bytes. Raises EBADMSG with `rule` and `offset`."""
        at = 0
        while self._header is None and at < len(view):
            # What the header needs next is not known before its version is.
            need = hxe.needed(self._head, self._length)
            count = min(need - self._length, len(view) - at)
            self._head[self._length : self._length + count] = view[at : at + count]
            self._length += count
            at += count
            if self._length == hxe.needed(self._head, self._length):
                self._open()
        if at < len(view):
            self._take(view[at:] if at else view)

    def _open(self) -> None:
        head = self._head[: self._length]
        header = hxe.parse(head)
        if self._listener is not None:
            self._listener.begin(header, head)
        self._header = header
        self._reader = MetadataReader(header)
        self._crc = binascii.crc32(head[:_AT_CRC])

    def _take(self, view: "memoryview") -> None:
        assert self._header is not None and self._reader is not None  # write() opened them
        self._crc = binascii.crc32(view, self._crc)
        start = max(self._header.body_end - self._length, 0)
        if start < len(view):
            self._reader.write(self._length + start, view[start:])
        if self._listener is not None:
            self._listener.update(self._length, view, self._reader.hole)
        self._length += len(view)

    def end(self) -> tuple:
        """(Header, Metadata, length in bytes). Raises EBADMSG with `rule` and `offset`, ENOSPC."""
        if self._header is None:
            self._open()
        assert self._header is not None and self._reader is not None
        if self._crc != self._header.crc:
            raise bad_image(errors.RULE_CRC, "verify", _AT_CRC)
        if self._length < self._header.body_end:
            raise bad_image(errors.RULE_TRUNCATED, "verify", self._length)
        return self._header, self._reader.end(self._length), self._length


def verify(
    readinto: "Callable[[memoryview], int]",
    buf: "bytearray | memoryview",
    listener: "Listener | None" = None,
) -> tuple:
    """(Header, Metadata, length in bytes) of the image that `readinto(view)` gives; 0 read is
    its end. It is read through `buf`, of any size. `listener` as in Verification; whether a
    signature is right is not judged here.

    Raises EBADMSG with `rule` and `offset`, ENOSPC, both with where="verify"; what the listener
    raises."""
    view = memoryview(buf)
    found = Verification(listener)
    try:
        while True:
            count = readinto(view)
            if not count:
                return found.end()
            found.write(view[:count])
    except HsxError as error:
        error.where = "verify"
        raise
