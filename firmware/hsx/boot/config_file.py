# SPDX-License-Identifier: MIT
"""The flash file system: the file of the boot configuration, its keys and what they may be.

Loaded only on a node that has one.
"""

import binascii
import os

from micropython import const

from ..errors import EBADMSG, HsxError
from .config import ORDER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .config import Config

ROOT = "/flash"  # where it is mounted
APPS = "/flash/apps"  # the folder of the images in it

_FILES = (("hsx.toml", True), ("hsx.json", False))  # the first that exists counts
_MOST = const(4096)  # bytes of one
_RULES = ("load", "ignore")
_UPDATES = ("load", "update", "ignore")
_SIGNATURES = ("off", "warn", "require")
_ROLES = ("user", "admin", "factory")  # in the order of their numbers, from 1

# Key; what it may be: the two ends of a range, texts, or None where `_special` knows; its meaning.
KEYS = (
    ("schema", (1, 1), "of this file"),
    ("order", None, "the sources that are looked at, in this order; the others are not"),
    ("bank", _RULES, "the set that the store keeps"),
    ("flash", _RULES, "images in the folder `apps` of the flash file system, with a manifest"),
    ("frozen", _RULES, "images in the firmware"),
    ("sd", _UPDATES, "`update`: a card with newer images becomes the set that the store keeps"),
    ("can", _UPDATES, "`update`: asks the master at each boot, else only if nothing runs"),
    ("on_failure", ("next", "minimal"), "a source that has something and fails: go on, or stop"),
    ("depend", None, "an image starts only if all of the priority levels before it were loaded"),
    ("limit_ms", (100, 600000), "of a source: what is not loaded by then is given up"),
    ("can_wait_ms", (100, 600000), "how long the boot waits for the master"),
    ("can_again_s", (1, 86400), "how long after that it is asked again while nothing runs"),
    ("attempts", (1, 15), "hard resets that a set on trial may see"),
    ("confirm_s", (1, 86400), "without a fault, and a set on trial is confirmed"),
    ("restarts", (0, 15), "of a confirmed set that faults, until the one before it is taken"),
    ("watchdog_ms", (0, 60000), "without a healthy poll, and the board resets; 0: no watchdog"),
    ("safe", None, "safe mode: nothing is started"),
    ("number", (1, 127), "of the node on its bus; 127: none yet"),
    ("network", (0, 0xFFFFFFFF), "that signed commands must name"),
    ("signatures", _SIGNATURES, "of images and manifests; not below what the board says"),
    ("commands", ("off", "require"), "signatures of remote commands; not below the board's"),
    ("key", None, "tables with `public` (64 hex digits) and `role`: user, admin or factory"),
)


def read(config: "Config") -> "tuple[str, HsxError | None]":
    """Fills `config` from the file, if there is one; the name of the file, "" without one, and
    what is wrong with it: then nothing of it counts."""
    for name, is_toml in _FILES:
        path = ROOT + "/" + name
        try:
            size = os.stat(path)[6]
        except OSError:
            continue
        try:
            if size > _MOST:
                raise HsxError(EBADMSG, "boot", "configuration is larger than 4 KiB")
            with open(path, "rb") as file:
                text = file.read()
            take(text, is_toml, config)
        except HsxError as error:
            return name, error
        except (OSError, MemoryError):
            return name, HsxError(EBADMSG, "boot", "configuration can't be read")
        return name, None
    return "", None


def take(text: bytes, is_toml: bool, config: "Config") -> None:
    """Puts what a file says into `config`, all or nothing. EBADMSG: a key that is unknown or has
    not the value that it must have, named in the detail; malformed text with its line as the
    offset."""
    found: "dict[str, Any]" = parse(text, is_toml, config)
    for name in found:
        setattr(config, name, found[name])


def asks_for_safe_mode() -> bool:
    """Whether a file asks for the safe mode; the flash file system must be mounted."""
    return _exists(ROOT + "/safe")


def has_apps() -> bool:
    """Whether there are images in the flash file system."""
    return _exists(APPS)


def _exists(path: str) -> bool:
    try:
        os.stat(path)
        return True
    except OSError:
        return False


def parse(text: bytes, is_toml: bool, config: "Config") -> "dict[str, Any]":
    """The keys of a file but for `schema`, checked. EBADMSG as take()."""
    from ..image import strict_json, toml

    def bad(at: int) -> HsxError:
        return HsxError(EBADMSG, "boot", "JSON is malformed", 0, toml.line_of(text, at))

    root = toml.loads(text, {}) if is_toml else strict_json.loads(text, bad, {})
    if not isinstance(root, dict) or root.get("schema") != 1:
        raise HsxError(EBADMSG, "boot", "configuration has no schema = 1")
    for name in root:
        for known in KEYS:
            if known[0] == name:
                if not _is_good(name, known[1], root[name], config):
                    raise HsxError(EBADMSG, "boot", name + " is not what it must be")
                break
        else:
            raise HsxError(EBADMSG, "boot", "configuration has no key " + name)
    del root["schema"]
    if "order" in root:
        root["order"] = " ".join(root["order"])
    root["safe"] = "configuration" if root.get("safe") else ""
    return root


def keys(tables: "tuple | list") -> "list[tuple[bytes, int]]":
    """The public keys of `key` tables that were checked, with the numbers of their roles."""
    found = []
    for table in tables:
        found.append((binascii.unhexlify(table["public"]), 1 + _ROLES.index(table["role"])))
    return found


def _is_good(name: str, wanted: "Any", value: "Any", config: "Config") -> bool:
    if wanted is None:
        return _special(name, value)
    if isinstance(wanted[0], int):
        good = isinstance(value, int) and not isinstance(value, bool)
        return good and wanted[0] <= value <= wanted[1]
    if value not in wanted:
        return False
    if name in ("signatures", "commands"):
        return wanted.index(value) >= wanted.index(getattr(config, name))
    return True


def _special(name: str, value: "Any") -> bool:
    if name in ("depend", "safe"):
        return isinstance(value, bool)
    if not isinstance(value, list):
        return False
    if name == "order":
        known = all(item in ORDER.split() for item in value)
        return bool(value) and known and all(value.count(item) == 1 for item in value)
    return all(_is_key(item) for item in value)


def _is_key(table: "Any") -> bool:
    if not isinstance(table, dict) or len(table) != 2 or table.get("role") not in _ROLES:
        return False
    public = table.get("public")
    if not isinstance(public, str) or len(public) != 64:
        return False
    try:
        binascii.unhexlify(public)
    except ValueError:
        return False
    return True
