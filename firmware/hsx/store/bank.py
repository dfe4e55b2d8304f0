# SPDX-License-Identifier: MIT
"""One bank: a directory of images, then the images. Byte layout: docs/fram_layout.md.

The digest of a set is the SHA-256 over its directory, which holds the SHA-256 of each image: so it
stands for every byte of the set. Nothing here holds more than one directory entry and one chunk.
"""

import binascii
import hashlib
import struct

from micropython import const

from ..errors import EBADMSG, EINVAL, ENOSPC, HsxError
from .layout import MAX_IMAGES
from .region import write_changed
from .superblock import DIGEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..contracts import Judge
    from .region import Region


HEADER = const(16)
ENTRY = const(112)

_MAGIC = b"HSXB"
_VERSION = const(1)
_HEADER_FORMAT = "<4sBBHII"
_ENTRY_FORMAT = "<32s16s32sIIIIIHHHxBBxxx"
_ALIGN = const(4)

# Flags of an entry; the grants are those of spec/provisioning.md P-86: LOAD 1, ABORT 2, FMAP 4.
GRANTS = const(0x07)
FIXED_PID = const(0x08)  # the wanted PID or none; without it another one will do (P-71)


class Image:
    """A directory entry. What the caller of a staging knows is set by it; `offset` is set by
    `lay_out`. Texts are UTF-8, `name` at most 32 and `version` at most 16 bytes."""

    def __init__(self, name: str, length: int, crc: int, sha256: bytes) -> None:
        self.name = name
        self.version = ""
        self.sha256 = sha256  # 32 bytes, of the whole image
        self.offset = 0  # bytes from the start of the bank
        self.length = length  # bytes
        self.crc = crc  # CRC-32 of the whole image
        self.epoch = 0  # for the anti-rollback floor
        self.quantum = 1000  # instructions
        self.stack = 0  # bytes, 0: default
        self.heap = 0  # bytes, 0: none
        self.flags = 0
        self.pid = 0  # 0: any
        self.priority = 10

    def pack_into(self, buf: bytearray) -> None:
        """The entry's 112 bytes. EINVAL for what does not fit its field."""
        name = self.name.encode()
        version = self.version.encode()
        if not 0 < len(name) <= 32 or len(version) > 16 or len(self.sha256) != 32:
            raise HsxError(EINVAL, "begin", "name, version or digest of an image")
        for limit, numbers in (
            (0xFF, (self.pid, self.priority)),
            (0xFFFF, (self.stack, self.heap, self.flags)),
            (0xFFFFFFFF, (self.epoch, self.quantum, self.crc)),
        ):
            # MicroPython would cut them short, silently.
            if min(numbers) < 0 or max(numbers) > limit:
                raise HsxError(EINVAL, "begin", "number of an image's entry")
        struct.pack_into(
            _ENTRY_FORMAT,
            buf,
            0,
            name,
            version,
            self.sha256,
            self.offset,
            self.length,
            self.crc,
            self.epoch,
            self.quantum,
            self.stack,
            self.heap,
            self.flags,
            self.pid,
            self.priority,
        )


def _text(field: bytes) -> str:
    end = field.find(b"\0")
    try:
        return str(field if end < 0 else field[:end], "utf-8")
    except UnicodeError:
        raise HsxError(EBADMSG, "verify", "directory entry is malformed")


def parse_entry(buf: "bytes | bytearray") -> Image:
    """The Image that 112 bytes say; EBADMSG for texts that are no UTF-8."""
    fields = struct.unpack_from(_ENTRY_FORMAT, buf, 0)
    image = Image(_text(fields[0]), fields[4], fields[5], fields[2])
    image.version = _text(fields[1])
    image.offset = fields[3]
    image.epoch, image.quantum, image.stack, image.heap, image.flags = fields[6:11]
    image.pid, image.priority = fields[11:13]
    return image


def lay_out(images: "list[Image]", size: int) -> int:
    """Gives each image its place in a bank of `size` bytes; the bytes that the set takes. EINVAL
    for an empty set, one of more than 16 or an image without bytes; ENOSPC if they do not fit."""
    if not 0 < len(images) <= MAX_IMAGES:
        raise HsxError(EINVAL, "begin", "a set has 1 to 16 images")
    at = HEADER + len(images) * ENTRY
    for image in images:
        if image.length <= 0:
            raise HsxError(EINVAL, "begin", "an image has no bytes")
        at = (at + _ALIGN - 1) & ~(_ALIGN - 1)
        image.offset = at
        if image.length > size or at > size - image.length:
            raise HsxError(ENOSPC, "begin", "set does not fit into a bank")
        at += image.length
    return at


class BankReader:
    """Reads a bank in `region`; `chunk` is what an image is read back through."""

    def __init__(self, region: "Region", chunk: memoryview) -> None:
        self._region = region
        self._chunk = chunk
        self._entry = bytearray(ENTRY)
        self._header = bytearray(HEADER)
        self.count = 0  # images, after `open`
        self.used = 0  # bytes of directory and images, after `open`
        self.epoch = 0  # the lowest of the images', after `open`

    def open(self, digest: "bytes | None") -> None:
        """Reads and checks the directory; `digest`: the 16 bytes that it must hash to, None for a
        look without that check. EBADMSG for a directory that is not that set's."""
        self.count = 0
        region = self._region
        if region.size < HEADER:
            raise HsxError(EBADMSG, "verify", "there is no bank")
        region.readinto(0, self._header)
        magic, version, count, _, used, _ = struct.unpack_from(_HEADER_FORMAT, self._header, 0)
        end = HEADER + count * ENTRY
        if magic != _MAGIC or version != _VERSION or not 0 < count <= MAX_IMAGES:
            raise HsxError(EBADMSG, "verify", "there is no directory")
        if not end <= used <= region.size:
            raise HsxError(EBADMSG, "verify", "directory is malformed")
        digester = hashlib.sha256(self._header)
        epoch = 0xFFFFFFFF
        for index in range(count):
            region.readinto(HEADER + index * ENTRY, self._entry)
            digester.update(self._entry)
            image = parse_entry(self._entry)
            if image.offset < end or image.length > used or image.offset > used - image.length:
                raise HsxError(EBADMSG, "verify", "directory is malformed")
            end = image.offset + image.length
            epoch = min(epoch, image.epoch)
        if digest is not None and digester.digest()[:DIGEST] != digest:
            raise HsxError(EBADMSG, "verify", "directory is not the set's")
        self.count = count
        self.used = used
        self.epoch = epoch

    def image(self, index: int) -> Image:
        """Entry `index` of an open bank."""
        if not 0 <= index < self.count:
            raise HsxError(EINVAL, "begin", "no such image in the bank")
        self._region.readinto(HEADER + index * ENTRY, self._entry)
        return parse_entry(self._entry)

    def find(self, sha256: bytes, length: int) -> "Image | None":
        """The image of these bytes in an open bank."""
        for index in range(self.count):
            image = self.image(index)
            if image.length == length and image.sha256 == sha256:
                return image
        return None

    def read(self, image: Image, offset: int, buf: memoryview) -> None:
        """Fills `buf` from `offset` in an image."""
        self._region.readinto(image.offset + offset, buf)

    def source(self, index: int) -> "ImageSource":
        """Image `index` as a Source."""
        return ImageSource(self._region, self.image(index))

    def check(self, image: Image, deep: bool, judge: "Judge | None" = None) -> "Iterator[None]":
        """Reads an image back, one chunk a step. EBADMSG if its CRC-32 or, with `deep`, its
        SHA-256 is not the entry's. `judge` sees the bytes too; what it raises goes on."""
        crc = 0
        digester = hashlib.sha256() if deep else None
        at = 0
        while at < image.length:
            chunk = self._chunk[: min(len(self._chunk), image.length - at)]
            self._region.readinto(image.offset + at, chunk)
            crc = binascii.crc32(chunk, crc)
            if digester is not None:
                digester.update(chunk)
            if judge is not None:
                judge.write(chunk)
            at += len(chunk)
            yield
        if crc != image.crc or (digester is not None and digester.digest() != image.sha256):
            raise HsxError(EBADMSG, "verify", "image in the bank is damaged")
        if judge is not None:
            judge.end()

    def check_all(
        self, deep: bool, judged_by: "Callable[[Image], Judge] | None" = None
    ) -> "Iterator[None]":
        """Checks every image of an open bank, as `check`; `judged_by(image)` makes its judge."""
        for index in range(self.count):
            image = self.image(index)
            judge = judged_by(image) if judged_by is not None else None
            yield from self.check(image, deep, judge)


class ImageSource:
    """An image in a bank, read from its start as a file is."""

    def __init__(self, region: "Region", image: Image) -> None:
        self._region = region
        self._image = image
        self._at = 0

    def readinto(self, buf: memoryview) -> int:
        """Fills `buf` with the next bytes; how many, 0 at the end."""
        count = min(len(buf), self._image.length - self._at)
        self._region.readinto(self._image.offset + self._at, buf[:count])
        self._at += count
        return count

    def close(self) -> None:
        """Nothing to give back; a Source has it."""


class StreamWriter:
    """Takes a set as the bytes of a bank, directory first: `used` of them. `digest`: the 16 bytes
    that the directory must hash to. What the images are is known once the directory is there.
    ENOSPC: more bytes than the bank has; EINVAL: too few for a set. `chunk` as in BankWriter."""

    def __init__(self, region: "Region", used: int, digest: bytes, chunk: memoryview) -> None:
        if used > region.size:
            raise HsxError(ENOSPC, "begin", "set does not fit into a bank")
        if used <= HEADER + ENTRY:
            raise HsxError(EINVAL, "begin", "a set has 1 to 16 images")
        self._region = region
        self._chunk = chunk
        self.images: "list[Image]" = []
        self.used = used
        self.digest = digest

    def begin(self) -> int:
        """Nothing is known yet: no byte is in place."""
        return 0

    def place(self, index: int, offset: int, size: int) -> int:
        """A stream has no images to name a place by: EINVAL."""
        raise HsxError(EINVAL, "write", "no such image in the set")

    def put(self, at: int, data: memoryview) -> None:
        """Writes what differs of `data` at `at` in the bank."""
        write_differing(self._region, at, data, self._chunk)


class BankWriter:
    """Writes a set, laid out by `lay_out`, into `region`. `chunk` holds what is on the medium
    while it is compared: only bytes that differ are written (R7)."""

    def __init__(self, region: "Region", images: "list[Image]", chunk: memoryview) -> None:
        self._region = region
        self._chunk = chunk
        self._entry = bytearray(ENTRY)
        self.images = images
        self.used = lay_out(images, region.size)
        header = bytearray(HEADER)
        struct.pack_into(_HEADER_FORMAT, header, 0, _MAGIC, _VERSION, len(images), 0, self.used, 0)
        self._header = header
        digester = hashlib.sha256(header)
        for image in images:
            image.pack_into(self._entry)
            digester.update(self._entry)
        self.digest = digester.digest()[:DIGEST]

    def begin(self) -> int:
        """Writes header and entries; bytes that are in place then."""
        self.put(0, memoryview(self._header))
        for index, image in enumerate(self.images):
            image.pack_into(self._entry)
            self.put(HEADER + index * ENTRY, memoryview(self._entry))
        return self.images[0].offset

    def place(self, index: int, offset: int, size: int) -> int:
        """Where in the bank `size` bytes from `offset` of image `index` stand. EINVAL for an image
        that is not in the set; ENOSPC beyond the image's length."""
        if not 0 <= index < len(self.images):
            raise HsxError(EINVAL, "write", "no such image in the set")
        image = self.images[index]
        if offset < 0 or size > image.length or offset > image.length - size:
            raise HsxError(ENOSPC, "write", "image is longer than announced", offset=offset)
        return image.offset + offset

    def put(self, at: int, data: memoryview) -> None:
        """Writes what differs of `data` at `at` in the bank."""
        write_differing(self._region, at, data, self._chunk)


def write_differing(region: "Region", at: int, data: memoryview, chunk: memoryview) -> None:
    """Writes the bytes of `data` that differ from what is at `at`, compared through the end of
    `chunk`: so data of half its size may lie at its start."""
    count = len(chunk)
    while len(data) > count:
        write_changed(region, at, data[:count], chunk)
        data = data[count:]
        at += count
    write_changed(region, at, data, chunk[count - len(data) :])
