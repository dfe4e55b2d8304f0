# SPDX-License-Identifier: MIT
"""A set of images as the bytes of a bank: what a node is sent (docs/fram_layout.md, 'Bank')."""

import binascii
import hashlib
import io
from collections.abc import Iterable
from typing import NamedTuple

from hsx.image.verify import verify
from hsx.node import names
from hsx.store.bank import BankWriter, Image, lay_out
from hsx.store.entries import entry
from hsx.store.region import Region

_CHUNK = 4096
_LARGEST = 1 << 24  # bytes: what the length of a transfer can say


class BankImage(NamedTuple):
    """`data`: the bank from its first byte to the end of its last image."""

    data: bytes
    digest: bytes  # 16 bytes, of the set
    images: list[Image]


class _Memory(Region):
    """A bank in memory."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.cells = bytearray(size)

    def _read(self, addr: int, buf: memoryview) -> None:
        buf[:] = self.cells[addr : addr + len(buf)]

    def _write(self, addr: int, buf: memoryview) -> None:
        self.cells[addr : addr + len(buf)] = buf


def describe(label: str, data: bytes, version: str = "") -> Image:
    """The directory entry of an image, called after its app, or after `label` (a path). `version`:
    of an image that says none. HsxError for one that breaks a rule."""
    header, metadata, length = verify(io.BytesIO(data).readinto, bytearray(_CHUNK))
    name = names.base(header.app_name, label, 0)
    digest = hashlib.sha256(data).digest()
    return entry(name, length, binascii.crc32(data), digest, metadata, version)


def bank_image(images: Iterable[tuple[Image, bytes]]) -> BankImage:
    """Directory entries, with what is wished for each, and their bytes. HsxError: no entry, or
    more than a bank's directory has."""
    pairs = list(images)
    entries = [image for image, _ in pairs]
    medium = _Memory(lay_out(entries, _LARGEST))
    writer = BankWriter(medium, entries, memoryview(bytearray(_CHUNK)))
    writer.begin()
    for index, (_, data) in enumerate(pairs):
        writer.put(writer.place(index, 0, len(data)), memoryview(data))
    return BankImage(bytes(medium.cells), writer.digest, entries)
