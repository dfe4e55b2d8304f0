# SPDX-License-Identifier: MIT
"""Values, commands, mailboxes and info as records, their binary form and its strings.

Layouts: spec/hxe_v2.md sections 6.2, 7.1 and 7.2, docs/hxe_format.md for `info`. Records hold
what the image says, bit for bit; what a node makes of it (a persist key switching PERSIST on, say)
is the registries' business. All raise EBADMSG with `offset` = where in the file the offending
entry is.
"""

import struct

from micropython import const

from .. import errors
from ..errors import HsxError, bad_image
from . import text

_VALUE_SIZE = const(20)
_COMMAND_SIZE = const(16)
_INFO_SIZE = const(28)
_INFO_VERSION = const(16)  # bytes
_INFO_STACK = const(24)  # offset
_TARGET_MAX = const(32)  # characters, spec/svc_abi.md section 5


class Value:
    """One entry of `.value`. init, epsilon, min and max are the 16 bits of an f16."""

    def __init__(
        self,
        group: int,
        id: int,
        flags: int,
        auth: int,
        init: int,
        name: "str | None",
        unit: "str | None",
        epsilon: int,
        min: int,
        max: int,
        persist_key: int,
        group_name: "str | None",
    ) -> None:
        self.group = group
        self.id = id
        self.flags = flags  # RO 1, PERSIST 2, STICKY 4, PIN 8, BOOL 16
        self.auth = auth  # 0 public .. 3 factory; 0-255 are stored
        self.init = init
        self.name = name  # strings: None if the image has none
        self.unit = unit
        self.epsilon = epsilon
        self.min = min
        self.max = max
        self.persist_key = persist_key  # 0: none
        self.group_name = group_name


class Command:
    """One entry of `.cmd`."""

    def __init__(
        self,
        group: int,
        id: int,
        flags: int,
        auth: int,
        handler: int,
        name: "str | None",
        help: str,
        group_name: "str | None",
    ) -> None:
        self.group = group
        self.id = id
        self.flags = flags  # PIN 1, ASYNC 2
        self.auth = auth
        self.handler = handler  # byte offset into the code
        self.name = name  # None if the image has none
        self.help = help  # "" if the image has none
        self.group_name = group_name  # None if the image has none


class Mailbox:
    """One entry of `.mailbox`, from either form."""

    def __init__(
        self,
        target: str,
        capacity: int,
        mode: int,
        owner_pid: "int | None",
        bindings: list,
        reserved: object,
        from_json: bool,
    ) -> None:
        self.target = target  # trimmed, never empty
        self.capacity = capacity  # bytes, 0: the default
        self.mode = mode  # bit mask, never 0
        self.owner_pid = owner_pid  # None: the loaded task
        self.bindings = bindings  # list of (pid, flags)
        self.reserved = reserved  # whatever JSON has there; in the legacy form a number
        self.from_json = from_json


class Info:
    """The entry of `info`: what an image says of itself."""

    def __init__(self, version: str, epoch: int, abi: int, stack: int, heap: int) -> None:
        self.version = version  # at most 16 bytes of UTF-8, "" if the image has none
        self.epoch = epoch  # for the anti-rollback floor
        self.abi = abi  # SVC ABI that it needs: major << 16 | minor, 0: any
        self.stack = stack  # bytes that it asks for, 0: the node's default
        self.heap = heap  # bytes behind its bss that it asks for, 0: none


class Section:
    """The payload of one section: its bytes, its place in the file, its string table."""

    def __init__(self, payload: "memoryview", start: int) -> None:
        self.payload = payload
        self._start = start
        self._strings: dict = {}  # one object per string, however many entries name it

    def bad(self, at: int, phrase: str, rule: int = 0) -> HsxError:
        """The error for what is wrong `at` bytes into the section; `rule` 0: its content."""
        return bad_image(rule or errors.RULE_SECTION_CONTENT, "end", self._start + at, phrase)

    def entries(self, count: int, size: int) -> range:
        """Offsets of `count` entries of `size` bytes, which must fit."""
        if count > len(self.payload) // size:
            raise self.bad(0, "section holds fewer entries than it says")
        return range(0, count * size, size)

    def string(self, at: int, offset: int) -> "str | None":
        """The string at `offset`, named by the entry `at`; None for offset 0."""
        if offset == 0:
            return None
        if offset not in self._strings:
            payload = self.payload
            end = offset
            while end < len(payload) and payload[end]:
                end += 1
            if end >= len(payload):
                raise self.bad(at, "string does not end inside its section")
            string = text.decode(payload[offset:end])
            if string is None:
                raise self.bad(at, "string is not UTF-8")
            self._strings[offset] = string
        return self._strings[offset]


def _take_oid(section: "Section", at: int, seen: set) -> None:
    oid = section.payload[at] << 8 | section.payload[at + 1]
    if oid in seen:
        raise section.bad(at, errors.detail(errors.RULE_OID), errors.RULE_OID)
    seen.add(oid)


def read_values(section: "Section", count: int, seen: set, out: list) -> None:
    """Appends `count` values to `out`; `seen` are the OIDs of the image's values so far."""
    for at in section.entries(count, _VALUE_SIZE):
        _take_oid(section, at, seen)
        group, id, flags, auth, init, name, unit, epsilon, low, high, key, group_name = (
            struct.unpack_from(">BBBBHHHHHHHH", section.payload, at)
        )
        out.append(
            Value(
                group,
                id,
                flags,
                auth,
                init,
                section.string(at, name),
                section.string(at, unit),
                epsilon,
                low,
                high,
                key,
                section.string(at, group_name),
            )
        )


def read_commands(section: "Section", count: int, code_len: int, seen: set, out: list) -> None:
    """Appends `count` commands to `out`; a handler must be an instruction of the code."""
    for at in section.entries(count, _COMMAND_SIZE):
        _take_oid(section, at, seen)
        group, id, flags, auth, handler, name, help, group_name = struct.unpack_from(
            ">BBBBIHHI", section.payload, at
        )
        if handler >= code_len or handler & 3:
            raise section.bad(at, "command handler is no instruction of the code")
        out.append(
            Command(
                group,
                id,
                flags,
                auth,
                handler,
                section.string(at, name),
                section.string(at, help) or "",
                section.string(at, group_name & 0xFFFF),  # the high half is reserved
            )
        )


def read_info(section: "Section", count: int) -> "Info":
    """The one entry; bytes behind it are left to later versions of it."""
    if count != 1:
        raise section.bad(0, "info has not exactly one entry")
    section.entries(count, _INFO_SIZE)
    end = 0
    while end < _INFO_VERSION and section.payload[end]:
        end += 1
    version = text.decode(section.payload[:end])
    if version is None:
        raise section.bad(0, "version is not UTF-8")
    epoch, abi, stack, heap = struct.unpack_from(">IIHH", section.payload, _INFO_VERSION)
    return Info(version, epoch, abi, stack, heap)


def memory_hints(payload: "memoryview") -> "tuple[int, int]":
    """Stack and heap of an info payload that nobody has judged yet; zeros where it is short."""
    if len(payload) < _INFO_SIZE:
        return 0, 0
    return struct.unpack_from(">HH", payload, _INFO_STACK)


def _is_number(text: str) -> bool:
    """ASCII digits only: CPython's isdigit() knows some that int() does not take."""
    for char in text:  # noqa: SIM110  any() with a generator allocates
        if not "0" <= char <= "9":
            return False
    return bool(text)


def mailbox_identity(target: str) -> tuple:
    """(namespace, name, owner) that a target of the loading task stands for.

    spec/svc_abi.md section 5: cut to 32 characters, no prefix is svc. The owner is a number, text
    that is none as it stands, "own" for the task itself, or "" for nobody in particular.
    """
    target = target[:_TARGET_MAX]
    colon = target.find(":")
    space = target[:colon] if colon > 0 else ""
    if space not in ("pid", "svc", "app", "shared"):
        space = "svc"
        colon = -1
    name = target[colon + 1 :]
    owner: "int | str" = "own" if space == "svc" or space == "pid" else ""
    pid = name
    if space != "pid":
        sign = name.find("@")
        pid = name[sign + 1 :] if sign >= 0 and space != "shared" else ""
        name = name[:sign] if sign >= 0 else name
    if pid:
        owner = int(pid) if _is_number(pid) else pid
    return (space, "" if space == "pid" else name, owner)
