# SPDX-License-Identifier: MIT
"""Writes images. For hosts only, not frozen.

Byte for byte what the reference's linker writes for the same input (spec/hxe_v2.md sections 1,
6, 7 and 12), and sections of our own (docs/hxe_format.md). Nothing is validated beyond what
has no encoding: `verify` is the judge, and tests need broken images too. All raise ValueError for
input that cannot be written.
"""

import binascii
import json
import struct

from . import signature
from .header import HEADER_V1, HEADER_V2, parse
from .metadata import Command, Info, Mailbox, Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Iterable

VALUE = 1  # section types
COMMAND = 2
MAILBOX = 3
INFO = 0x10
SIGNATURE = 0x11

_MAGIC = b"HSXE"
_CRC_AT = 0x1C
_NAME_MAX = 31


def f16(x: float) -> int:
    """The bits of `x` as an f16: nearest, ties to even, beyond the range the infinity."""
    try:
        return struct.unpack(">H", struct.pack(">e", x))[0]
    except OverflowError:
        return 0xFC00 if x < 0 else 0x7C00


def f16_value(bits: int) -> float:
    """What the f16 `bits` (0 to 0xFFFF) stand for."""
    return struct.unpack(">e", struct.pack(">H", bits))[0]


def build(
    code: bytes,
    rodata: bytes = b"",
    *,
    name: str = "",
    entry: int = 0,
    flags: int = 2,
    req_caps: int = 0,
    bss_size: int = 0,
    sections: "tuple | list" = (),
    version: int = 2,
) -> bytes:
    """An image. `sections`: (type, payload, entry count) each, written in that order; those
    without payload are left out. Of `name`, what is not ASCII is dropped and 31 characters are
    kept. Version 1 has neither name nor sections."""
    listed = [section for section in sections if section[1]]
    size = HEADER_V2 if version == 2 else HEADER_V1
    if listed and version != 2:
        raise ValueError("version %d has no sections" % version)
    table_at = size + len(code) + len(rodata)
    payload_at = table_at + 16 * len(listed)
    table = b""
    for kind, payload, count in listed:
        table += struct.pack(">IIII", kind, payload_at, len(payload), count)
        payload_at += len(payload)
    start = _MAGIC + struct.pack(
        ">HHIIIII", version, flags, entry, len(code), len(rodata), bss_size, req_caps & 0xFFFF
    )
    label = b""
    if version == 2:
        label = struct.pack(
            ">32sII24x",
            name.encode("ascii", "ignore")[:_NAME_MAX],
            table_at if listed else 0,
            len(listed),
        )
    tail = code + rodata + table + b"".join(payload for _, payload, _ in listed)
    return start + struct.pack(">I", binascii.crc32(tail, binascii.crc32(start))) + label + tail


def seal(image: bytes) -> bytes:
    """`image` with the checksum that its bytes ask for."""
    size = HEADER_V2 if image[4:6] == b"\x00\x02" else HEADER_V1
    crc = binascii.crc32(image[size:], binascii.crc32(image[:_CRC_AT]))
    return image[:_CRC_AT] + struct.pack(">I", crc) + image[_CRC_AT + 4 :]


class _Strings:
    """The string table of a section: each text once, in the order of first use."""

    def __init__(self, start: int) -> None:
        self._start = start
        self._offsets: dict = {}
        self.bytes = b""

    def offset(self, string: "str | None") -> int:
        if not string:
            return 0
        if string not in self._offsets:
            offset = self._start + len(self.bytes)
            if offset > 0xFFFF:
                raise ValueError("strings of a section go beyond 64 KiB")
            if "\0" in string:
                raise ValueError("a string holds a NUL")
            self._offsets[string] = offset
            self.bytes += string.encode() + b"\0"
        return self._offsets[string]


def _ordered(records: "Iterable") -> list:
    """By group, then id; each pair once."""
    ordered = sorted(records, key=lambda record: (record.group, record.id))
    for one, other in zip(ordered, ordered[1:], strict=False):
        if (one.group, one.id) == (other.group, other.id):
            raise ValueError("%d:%d is declared twice" % (one.group, one.id))
    return ordered


def value_section(values: "Iterable[Value]") -> "tuple[int, bytes, int]":
    """(type, payload, entry count) of `metadata.Value` records."""
    ordered = _ordered(values)
    strings = _Strings(20 * len(ordered))
    entries = b""
    for value in ordered:
        entries += struct.pack(
            ">BBBBHHHHHHHH",
            value.group,
            value.id,
            value.flags,
            value.auth,
            value.init,
            strings.offset(value.name),
            strings.offset(value.unit),
            value.epsilon,
            value.min,
            value.max,
            value.persist_key,
            strings.offset(value.group_name),
        )
    return VALUE, entries + strings.bytes, len(ordered)


def command_section(commands: "Iterable[Command]") -> "tuple[int, bytes, int]":
    """(type, payload, entry count) of `metadata.Command` records."""
    ordered = _ordered(commands)
    strings = _Strings(16 * len(ordered))
    entries = b""
    for command in ordered:
        entries += struct.pack(
            ">BBBBIHHI",
            command.group,
            command.id,
            command.flags,
            command.auth,
            command.handler,
            strings.offset(command.name),
            strings.offset(command.help),
            strings.offset(command.group_name),
        )
    return COMMAND, entries + strings.bytes, len(ordered)


def _declaration(box: "Mailbox | dict") -> dict:
    """A mailbox as its JSON object: a dict as it stands, of a record what is not the default."""
    if isinstance(box, dict):
        return box
    declared: dict = {"target": box.target}
    if box.capacity:
        declared["capacity"] = box.capacity
    if box.mode != 3:
        declared["mode_mask"] = box.mode
    if box.owner_pid is not None:
        declared["owner_pid"] = box.owner_pid
    if box.bindings:
        declared["bindings"] = [{"pid": pid, "flags": flags} for pid, flags in box.bindings]
    if box.reserved is not None:
        declared["reserved"] = box.reserved
    return declared


def mailbox_section(mailboxes: "Iterable[Mailbox | dict]") -> "tuple[int, bytes, int]":
    """(type, payload, entry count) of `metadata.Mailbox` records or JSON objects (dict), the
    latter written verbatim; JSON form."""
    declared = [_declaration(box) for box in mailboxes]
    if not declared:
        return MAILBOX, b"", 0
    root = {"version": 1, "mailboxes": declared}
    payload = json.dumps(  # type: ignore[call-overload]  # CPython's: this file is for hosts
        root, sort_keys=True, separators=(",", ":"), allow_nan=False
    )
    return MAILBOX, payload.encode(), len(declared)


def manifest_section(wishes: dict) -> "tuple[int, bytes, int]":
    """(type, payload, entry count) of what image.wishes says; the header must have flag bit 0."""
    return 0x12, json.dumps(wishes).encode(), 1


def info_section(info: "Info") -> "tuple[int, bytes, int]":
    """(type, payload, entry count) of a `metadata.Info`."""
    version = info.version.encode()
    if len(version) > 16 or "\0" in info.version:
        raise ValueError("a version has at most 16 bytes, none of them NUL")
    try:
        numbers = struct.pack(">IIHH", info.epoch, info.abi, info.stack, info.heap)
    except struct.error as error:
        raise ValueError("a number of the info section does not fit: %s" % error) from None
    return INFO, version.ljust(16, b"\0") + numbers, 1


def _with_entry(image: bytes, payload: bytes) -> "tuple[bytes, int]":
    """`image` with a signature section of this payload at its end, and where that begins. What
    lies behind the table moves on by the 16 bytes of the new entry."""
    table_at, count = struct.unpack_from(">II", image, 0x40)
    table_end = table_at + 16 * count
    if not table_at or not count:
        table_at, count, table_end = len(image), 0, len(image)
    table = b""
    for index in range(count):
        kind, offset, size, entries = struct.unpack_from(">IIII", image, table_at + 16 * index)
        if kind == SIGNATURE:
            raise ValueError("the image is signed already")
        moved = offset + 16 if offset >= table_end else offset
        table += struct.pack(">IIII", kind, moved, size, entries)
    payload_at = len(image) + 16
    table += struct.pack(">IIII", SIGNATURE, payload_at, len(payload), 1)
    head = image[:0x40] + struct.pack(">II", table_at, count + 1) + image[0x48:table_at]
    return head + table + image[table_end:] + payload, payload_at


def signed(image: bytes, key: bytes, sign: "Callable[[bytes], bytes]") -> bytes:
    """`image`, a good one, with a signature section: `key` is the public key, 32 bytes, and
    `sign(message)` gives the 64 bytes of its signature. ValueError for version 1, which has no
    sections, and for one that is signed already."""
    if image[4:6] != b"\x00\x02":
        raise ValueError("an image of version 1 has no room for a signature")
    key_id = key[: signature.KEY_ID]
    whole, at = _with_entry(image, key_id + bytes(signature.SIZE - signature.KEY_ID))
    digest = signature.ImageDigest()
    digest.begin(parse(whole), memoryview(whole))
    digest.update(HEADER_V2, memoryview(whole)[HEADER_V2:], (at, len(whole)))
    return seal(whole[:at] + key_id + sign(digest.message()))
