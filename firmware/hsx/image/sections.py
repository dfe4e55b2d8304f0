# SPDX-License-Identifier: MIT
"""What lies behind the body of an image: section table and sections, as they stream by.

Rules 13 to 15, 18 and 19 of spec/hxe_v2.md section 9, and stricter: no section, known or not, may
lie on header, code or rodata. How long the image is, is known only at its end, so all verdicts
fall in `end()` and do not depend on how the bytes were cut.

Memory: first the gap in front of the table and the table, exactly; once it is complete, exactly
the payloads that the records come from. Together at most `limit` bytes, whatever the image says.
"""

import struct

from micropython import const

from .. import errors
from ..errors import HsxError, bad_image
from . import metadata, signature
from .header import Header

_ENTRY_SIZE = const(16)
_VALUE = const(1)
_COMMAND = const(2)
_MAILBOX = const(3)
_INFO = const(0x10)
_SIGNATURE = const(0x11)
_MANIFEST = const(0x12)
_AT_META_OFFSET = const(0x40)


class Metadata:
    """What the sections of an image say, in the order of the file."""

    # Of the class: an image that does not say it takes no heap for it.
    info: "metadata.Info | None" = None
    signature: "memoryview | None" = None  # payload of the section
    wishes: "dict | None" = None  # of its manifest section, image.wishes

    def __init__(self) -> None:
        # Lists; an image without sections has the empty tuples, which take no heap.
        # Sections are (type, file offset, size, entry count), unknown types included.
        self.sections: "list | tuple" = ()
        self.values: "list | tuple" = ()
        self.commands: "list | tuple" = ()
        self.mailboxes: "list | tuple" = ()


def _is_kept(kind: int) -> bool:
    """Whether sections of this type are parsed; the others are only bounds-checked."""
    return _VALUE <= kind <= _MAILBOX or _INFO <= kind <= _MANIFEST


class MetadataReader:
    """Takes an image from the end of its body on; `end()` gives what it says.

    `limit`: bytes that may be kept at once. Errors raised: ENOSPC and EBADMSG by `end()` alone,
    so that a damaged image is called damaged, however large it claims to be.
    """

    def __init__(self, header: "Header", limit: int = 8192) -> None:
        self._header = header
        self._limit = limit
        self._front: "memoryview | None" = None  # gap and table, until the table is complete
        self._sections: "list | None" = None  # as in Metadata, once the table is complete
        self._payloads: "list | tuple" = ()  # (file offset, memoryview) of each kept section
        self._full = False  # more is needed than may be kept, or than there is
        self.hole = (0, 0)  # of signature.ImageDigest, known when the table is complete
        self._table_end = 0
        if header.meta_offset and header.meta_count:
            self._table_end = header.meta_offset + header.meta_count * _ENTRY_SIZE
            self._front = self._buffer(self._table_end - header.body_end)

    def _buffer(self, size: int) -> "memoryview | None":
        """Memory for `size` bytes out of the limit; None, and full, if there is too little."""
        if size <= self._limit and not self._full:
            try:
                buffer = memoryview(bytearray(size))
                self._limit -= size
                return buffer
            except MemoryError:
                pass
        self._full = True
        return None

    def write(self, offset: int, view: "memoryview") -> None:
        """Takes the bytes at file offset `offset`; calls come in order and leave no hole."""
        if self._front is not None:
            at = offset - self._header.body_end
            count = min(len(view), len(self._front) - at)
            self._front[at : at + count] = view[:count]
            if at + count < len(self._front):
                return
            self._open_table(self._front)
            offset += count
            view = view[count:]
        self._keep(offset, view)

    def _open_table(self, front: "memoryview") -> None:
        """The table is there: takes memory for the payloads, and what came in front of it."""
        self._front = None
        start = self._header.meta_offset - self._header.body_end
        try:
            self._sections = [
                struct.unpack_from(">IIII", front, at)
                for at in range(start, len(front), _ENTRY_SIZE)
            ]
            self._payloads = [
                (section[1], self._buffer(section[2]))
                for section in self._sections
                if _is_kept(section[0])
            ]
        except MemoryError:
            self._full = True
        for kind, offset, size, _ in self._sections or ():
            if kind == _SIGNATURE:
                self.hole = (offset, offset + size)
        if self._full:
            self._payloads = ()
        self._keep(self._header.body_end, front)

    def _keep(self, offset: int, view: "memoryview") -> None:
        """Copies what of `view`, at file offset `offset`, belongs to a kept payload."""
        end = offset + len(view)
        for start, payload in self._payloads:
            first = max(start, offset)
            last = min(start + len(payload), end)
            if first < last:
                payload[first - start : last - start] = view[first - offset : last - offset]

    def memory_hints(self) -> "tuple[int, int]":
        """Bytes of stack and of heap that the image asks for, 0 where it does not say. Only
        `end()` tells whether the image is good; this is for who must take the memory first."""
        kept = 0
        for section in self._sections or ():
            if _is_kept(section[0]) and kept < len(self._payloads):
                if section[0] == _INFO:
                    return metadata.memory_hints(self._payloads[kept][1])
                kept += 1
        return 0, 0

    def end(self, length: int) -> "Metadata":
        """What the sections say; `length` is that of the whole image, in bytes.

        Raises EBADMSG (`rule`, `offset`), ENOSPC (more than `limit`, or no memory)."""
        self._check_bounds(length)
        if not self._full:
            try:
                return self._parse()
            except MemoryError:
                pass
        raise HsxError(
            errors.ENOSPC, "end", "metadata is larger than this node takes", errors.RULE_MEMORY
        )

    def _check_bounds(self, length: int) -> None:
        """Rules 13 and 14."""
        if self._table_end > length:
            raise bad_image(errors.RULE_TABLE_BOUNDS, "end", _AT_META_OFFSET)
        at = self._header.meta_offset
        for _, offset, size, _ in self._sections or ():
            if offset < self._header.body_end or offset + size > length:
                raise bad_image(errors.RULE_SECTION_BOUNDS, "end", at)
            at += _ENTRY_SIZE

    def _parse(self) -> "Metadata":
        """Rules 15, 18 and 19."""
        found = Metadata()
        if not self._sections:
            return found
        found.sections = self._sections
        found.values = []
        found.commands = []
        found.mailboxes = []
        values: set = set()
        commands: set = set()
        mailboxes: set = set()
        kept = 0
        for kind, offset, _, count in found.sections:
            if not _is_kept(kind):
                continue
            section = metadata.Section(self._payloads[kept][1], offset)
            kept += 1
            if kind == _VALUE:
                metadata.read_values(section, count, values, found.values)
            elif kind == _COMMAND:
                code_len = self._header.code_len
                metadata.read_commands(section, count, code_len, commands, found.commands)
            elif kind == _MAILBOX:
                from . import metadata_json  # here, as few images have it

                metadata_json.read_mailboxes(section, count, mailboxes, found.mailboxes)
            elif kind == _SIGNATURE:
                found.signature = self._signature(section, count)
            elif kind == _MANIFEST:
                found.wishes = self._manifest(section, count, found)
            elif found.info is None:
                found.info = metadata.read_info(section, count)
            else:
                raise section.bad(0, "there is more than one info section")
        return found

    def _manifest(self, section: "metadata.Section", count: int, found: "Metadata") -> dict:
        if found.wishes is not None:
            raise section.bad(0, "there is more than one manifest section")
        if not self._header.manifest_present:
            raise section.bad(0, "the header does not say that there is a manifest")
        from . import wishes  # with its JSON reader: most images have none

        return wishes.read(section, count)

    def _signature(self, section: "metadata.Section", count: int) -> "memoryview":
        """Nothing else may lie on its bytes: the signature does not cover them."""
        start, end = self.hole
        signatures = 0
        for kind, offset, size, _ in self._sections or ():
            if kind != _SIGNATURE and offset < end and offset + size > start:
                raise section.bad(0, "a section lies on the signature")
            signatures += kind == _SIGNATURE
        if signatures != 1:
            raise section.bad(0, "there is more than one signature section")
        if count != 1 or end - start != signature.SIZE:
            raise section.bad(0, "signature has another size")
        if start < self._table_end:
            raise section.bad(0, "signature does not lie behind the section table")
        return section.payload
