# SPDX-License-Identifier: MIT
"""What an image, or the manifest that lists it, wishes of the node that runs it (P-70).

An image says it in its `manifest` section (docs/hxe_format.md), a card's manifest beside the
image's file; the card's word goes first, key by key.

| key | value |
|---|---|
| pid | wanted PID, 1 to 32 |
| pid_fixed | true: no other PID will do |
| version | text, at most 32 characters, as the image's info section has it |
| caps | capability bits besides those of the header, 0 to 0xFFFF |
| fram_keys | list of {key: 1 to 0xFFFE, mode: "load", "save" or "loadsave", required: boolean} |
| values | list of {oid: 0 to 0xFFFF, value: number}: instead of what the image begins with |
| mailboxes | list of targets, each at most 32 characters, to be there before the app runs |

PIDs count only in a card's manifest and in a bank's directory: an image is known by then, and in a
stream the section comes after the PID was given.
"""

from micropython import const

from . import strict_json
from .metadata import Section

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

KEYS = ("pid", "pid_fixed", "version", "caps", "fram_keys", "values", "mailboxes")
MODES = ("load", "save", "loadsave")

_MOST = const(64)  # items of a list
_TARGET_MAX = const(32)  # characters, as of a version


def parse(table: dict, bad: "Callable[[str], Exception]") -> dict:
    """The wishes among the keys of a table; others are the caller's. What is wrong is raised as
    `bad(phrase)`."""
    found = {}
    for key in KEYS:
        if key not in table:
            continue
        value = found[key] = table[key]
        if key == "pid":
            good = is_int(value, 1, 32)
        elif key == "pid_fixed":
            good = isinstance(value, bool)
        elif key == "version":
            good = _is_text(value)
        elif key == "caps":
            good = is_int(value, 0, 0xFFFF)
        else:
            check = {"fram_keys": _is_fram_key, "values": _is_value, "mailboxes": _is_target}[key]
            good = isinstance(value, list) and len(value) <= _MOST
            good = good and all(check(item) for item in value)
        if not good:
            raise bad(key + " is not what it must be")
    return found


def read(section: "Section", count: int) -> dict:
    """The wishes of a `manifest` section. EBADMSG for JSON that is malformed, or has another key
    or value than the table says."""
    if count != 1:
        raise section.bad(0, "manifest has not exactly one entry")
    payload = section.payload
    size = len(payload)
    while size and payload[size - 1] == 0:
        size -= 1
    root = strict_json.loads(
        payload[:size], lambda at: section.bad(at, "manifest JSON is malformed or too deep"), {}
    )
    if not isinstance(root, dict):
        raise section.bad(0, "manifest is no JSON object")
    for key in root:
        if key not in KEYS:
            raise section.bad(0, "manifest has an unknown key")
    return parse(root, lambda phrase: section.bad(0, phrase))


def is_int(value: object, low: int, high: int) -> bool:
    """Whether it is a whole number in the range, both ends included; a boolean is none."""
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _TARGET_MAX


def _is_target(value: object) -> bool:
    return _is_text(value) and bool(value)


def _has(item: object, keys: tuple) -> bool:
    return isinstance(item, dict) and all(key in keys for key in item)


def _is_fram_key(item: object) -> bool:
    if not isinstance(item, dict) or not _has(item, ("key", "mode", "required")):
        return False
    mode = item.get("mode", MODES[2])
    required = item.get("required", False)
    return is_int(item.get("key"), 1, 0xFFFE) and mode in MODES and isinstance(required, bool)


def _is_value(item: object) -> bool:
    if not isinstance(item, dict) or not _has(item, ("oid", "value")):
        return False
    number = item.get("value")
    good = isinstance(number, (int, float)) and not isinstance(number, bool)
    return good and is_int(item.get("oid"), 0, 0xFFFF)
