# SPDX-License-Identifier: MIT
"""The header of an image, versions 1 and 2: its fields, and every rule that it alone can break.

Fields and rule numbers: spec/hxe_v2.md sections 1, 2, 8 and 9. The checks run in the order of
the C loader, so that both name the same rule for the same bytes.
"""

import struct

from micropython import const

from .. import errors
from ..errors import bad_image
from . import text

HEADER_V1 = 32  # bytes
HEADER_V2 = 96

_MAGIC = b"HSXE"
_FLAG_MANIFEST = const(1)
_FLAG_MULTIPLE = const(2)
_SECTION_MAX = const(0x10000)
_DATA_BASE = const(0x4000)
_STACK_BASE = const(0xEFFC)  # lowest stack address of the reference's first task
_NAME_MAX = const(31)

_AT_VERSION = const(0x04)
_AT_ENTRY = const(0x08)
_AT_CODE_LEN = const(0x0C)
_AT_RO_LEN = const(0x10)
_AT_BSS_SIZE = const(0x14)
_AT_NAME = const(0x20)
_AT_META_OFFSET = const(0x40)
_AT_RESERVED = const(0x48)


class Header:
    """What a header says. Sizes and offsets are bytes; offsets are from the start of the file."""

    def __init__(self, version: int, flags: int, entry: int, code_len: int, ro_len: int) -> None:
        self.version = version  # 1 or 2
        self.flags = flags  # as stored, unknown bits included
        self.entry = entry  # offset into the code
        self.code_len = code_len
        self.ro_len = ro_len
        self.bss_size = 0
        self.req_caps = 0  # bit mask, spec/hxe_v2.md section 5
        self.crc = 0
        self.app_name = ""  # normalised, at most 31 characters; "" if the image has none
        self.meta_offset = 0  # section table; 0: none
        self.meta_count = 0
        self.size = HEADER_V2 if version == 2 else HEADER_V1
        self.body_end = self.size + code_len + ro_len  # first byte behind the rodata
        self.allow_multiple = version == 1 or bool(flags & _FLAG_MULTIPLE)
        self.manifest_present = version == 2 and bool(flags & _FLAG_MANIFEST)


def needed(buf: "bytes | bytearray | memoryview", have: int) -> int:
    """How many bytes the header has, as far as the first `have` bytes in `buf` tell: 32 until
    the version is known, then 32 or 96."""
    if have >= 6 and buf[4] == 0 and buf[5] == 2:
        return HEADER_V2
    return HEADER_V1


def _app_name(buf: "bytes | bytearray | memoryview") -> str:
    end = _AT_NAME
    while end < _AT_META_OFFSET and buf[end]:
        if buf[end] > 0x7F:
            raise bad_image(errors.RULE_NAME_ASCII, "write", end)
        end += 1
    name = text.strip(str(memoryview(buf)[_AT_NAME:end], "ascii"))
    return name if len(name) <= _NAME_MAX else name[:_NAME_MAX]


def parse(buf: "bytes | bytearray | memoryview") -> "Header":
    """The header at the start of `buf`, which holds at least `needed()` bytes of the image, or
    all there are. Raises EBADMSG with `rule` and the `offset` of the field that breaks it."""
    have = len(buf)
    if have < HEADER_V1:
        raise bad_image(errors.RULE_SHORT, "write", have)
    version, flags, entry, code_len, ro_len, bss_size, req_caps, crc = struct.unpack_from(
        ">HHIIIIII", buf, _AT_VERSION
    )
    header = Header(version, flags, entry, code_len, ro_len)
    header.bss_size = bss_size
    header.req_caps = req_caps
    header.crc = crc
    if version != 1 and version != 2:
        raise bad_image(errors.RULE_VERSION, "write", _AT_VERSION)
    if version == 2:
        if have < HEADER_V2:
            raise bad_image(errors.RULE_SHORT_V2, "write", have)
        for at in range(_AT_RESERVED, HEADER_V2):
            if buf[at]:
                raise bad_image(errors.RULE_RESERVED, "write", at)
        header.app_name = _app_name(buf)
        header.meta_offset, header.meta_count = struct.unpack_from(">II", buf, _AT_META_OFFSET)
    _check(header, buf)
    return header


def _check_size(size: int, at: int) -> None:
    if size > _SECTION_MAX:
        raise bad_image(errors.RULE_TOO_LARGE, "write", at)


def _check(header: "Header", buf: "bytes | bytearray | memoryview") -> None:
    """Rules 6, 7, 8, 11, 12 and 20."""
    for at in range(len(_MAGIC)):
        if buf[at] != _MAGIC[at]:
            raise bad_image(errors.RULE_MAGIC, "write", 0)
    _check_size(header.code_len, _AT_CODE_LEN)
    _check_size(header.ro_len, _AT_RO_LEN)
    _check_size(header.bss_size, _AT_BSS_SIZE)
    if header.code_len & 3:
        raise bad_image(errors.RULE_ALIGN, "write", _AT_CODE_LEN)
    if header.entry & 3:
        raise bad_image(errors.RULE_ALIGN, "write", _AT_ENTRY)
    if header.entry >= header.code_len:
        raise bad_image(errors.RULE_ENTRY, "write", _AT_ENTRY)
    if header.meta_offset and header.meta_offset < header.body_end:
        raise bad_image(errors.RULE_TABLE_OVERLAP, "write", _AT_META_OFFSET)
    if _DATA_BASE + header.ro_len + header.bss_size > _STACK_BASE:
        raise bad_image(errors.RULE_DATA_WINDOW, "write", _AT_RO_LEN)
