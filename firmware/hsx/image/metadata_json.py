# SPDX-License-Identifier: MIT
"""Mailbox declarations: the JSON form and the legacy form, as the same records.

Rules: spec/hxe_v2.md section 7.3. Where it leaves a choice: of two aliases the first one that is
present counts; numbers are whole numbers, not text or booleans; a PID is not negative.
"""

import struct

from micropython import const

from .. import errors
from . import strict_json, text
from .metadata import Mailbox, Section, mailbox_identity

_LEGACY_SIZE = const(16)
_RDWR = const(3)

_MODES = (
    ("RDONLY", 1),
    ("READONLY", 1),
    ("RO", 1),
    ("WRONLY", 2),
    ("WRITEONLY", 2),
    ("WO", 2),
    ("RDWR", 3),
    ("RW", 3),
    ("TAP", 4),
    ("FANOUT", 8),
    ("FANOUT_DROP", 0x10),
    ("FANOUT_BLOCK", 0x20),
)


def read_mailboxes(section: "Section", count: int, seen: set, out: list) -> None:
    """Appends the mailboxes of a section to `out`; `seen` are the identities in the image so far.

    `count` is what the table says: it counts for the legacy form only. Raises EBADMSG."""
    payload = section.payload
    size = len(payload)
    while size and payload[size - 1] == 0:
        size -= 1
    first = 0
    while first < size and payload[first] in b" \t\n\r\v\f":
        first += 1
    if first == size:
        return
    if payload[first] == 0x7B or payload[first] == 0x5B:  # { or [
        _read_json(section, payload[:size], seen, out)
        return
    for at in section.entries(count, _LEGACY_SIZE):
        name, capacity, mode, reserved = struct.unpack_from(">IHHQ", payload, at)
        target = text.strip(section.string(at, name) or "")
        box = Mailbox(target, capacity, mode or _RDWR, None, [], reserved, False)
        _append(section, at, box, seen, out)


def _append(section: "Section", at: int, box: "Mailbox", seen: set, out: list) -> None:
    if not box.target:
        raise section.bad(at, "mailbox has no target")
    identity = mailbox_identity(box.target)
    if identity in seen:
        raise section.bad(at, errors.detail(errors.RULE_MAILBOX), errors.RULE_MAILBOX)
    seen.add(identity)
    out.append(box)


def _read_json(section: "Section", payload: "memoryview", seen: set, out: list) -> None:
    places: dict = {}
    root = strict_json.loads(
        payload, lambda at: section.bad(at, "mailbox JSON is malformed or too deep"), places
    )
    entries = root
    if isinstance(root, dict):
        phrase = "mailbox JSON is of another version"
        if _count(section, 0, root.get("version", 1), phrase) != 1:
            raise section.bad(0, phrase)
        entries = _first(root, ("mailboxes", "entries"), [])
    if not isinstance(entries, list):
        raise section.bad(0, "mailbox JSON has no list of mailboxes")
    for entry in entries:
        if not isinstance(entry, dict):
            raise section.bad(0, "mailbox entry is no object")
        at = places[id(entry)]
        _append(section, at, _record(section, at, entry), seen, out)


def _first(entry: dict, keys: tuple, default: object = None) -> object:
    """The value under the first of `keys` that is there."""
    for key in keys:
        if key in entry:
            return entry[key]
    return default


def _count(section: "Section", at: int, value: object, phrase: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise section.bad(at, phrase)


def _mode(section: "Section", at: int, value: object) -> int:
    if value is None:
        return _RDWR
    if not isinstance(value, str):
        return _count(section, at, value, "mailbox mode is unknown") & 0xFFFF or _RDWR
    mode = 0
    for name in value.replace(",", "|").split("|"):
        name = text.strip(name).upper()
        bits = 0
        for known, known_bits in _MODES:
            if name == known:
                bits = known_bits
        if name and not bits:
            raise section.bad(at, "mailbox mode is unknown")
        mode |= bits
    return mode or _RDWR


def _bindings(section: "Section", at: int, listed: object) -> list:
    if listed is None:
        return []
    if not isinstance(listed, list):
        raise section.bad(at, "mailbox bindings are no list")
    bindings: list = []
    for binding in listed:
        if not isinstance(binding, dict):
            raise section.bad(at, "mailbox binding is no object")
        pid = _count(section, at, binding.get("pid"), "mailbox binding has no PID")
        flags = _count(section, at, binding.get("flags", 0), "mailbox binding flags are no mask")
        bindings.append((pid, flags & 0xFFFF))
    return bindings


def _record(section: "Section", at: int, entry: dict) -> "Mailbox":
    """One JSON entry, `at` bytes into the section."""
    target = _first(entry, ("target", "name"))
    capacity = _first(entry, ("capacity", "queue_depth"))
    owner = entry.get("owner_pid")
    if capacity is None or capacity == "":
        capacity = 0
    if owner is not None:
        _count(section, at, owner, "mailbox owner is no PID")
    return Mailbox(
        text.strip(target) if isinstance(target, str) else "",
        _count(section, at, capacity, "mailbox capacity is no size"),
        _mode(section, at, _first(entry, ("mode_mask", "mode", "flags"))),
        owner,
        _bindings(section, at, entry.get("bindings")),
        entry.get("reserved"),
        True,
    )
