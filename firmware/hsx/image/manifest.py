# SPDX-License-Identifier: MIT
"""The image list of a card, `hsx.toml` or `hsx.json`.

TOML: `schema = 1`, then an `[[image]]` table per image; JSON: `{"schema": 1, "image": [...]}`.
In this schema an unknown key is refused: a misspelt one must not get lost in silence.
docs/sd_manifest.md lists the keys of an image with their limits and defaults. Beside the list,
`epoch` (integer: refused below the node's floor) and `nodes` (list of 1 to 126: for no others).
"""

import binascii

from micropython import const

from ..errors import EBADMSG, ENOSPC, HsxError
from . import strict_json, toml, wishes
from .wishes import is_int

MANIFEST_MAX = 8192  # bytes

_PATH_MAX = const(255)
_VERSION_MAX = const(32)
_ORDER_STEP = const(10)
_PRIORITY = const(10)
_QUANTUM = const(1000)

KEYS = ("file", "order", "version", "sha256", "priority", "quantum", "stack", "heap", "grants")
GRANTS = ("load", "abort", "fmap")  # in the order of their bits


class Entry:
    """One image of a manifest."""

    def __init__(self, file: str, place: int) -> None:
        self.file = file
        self.place = place  # in the manifest, from 1
        self.order = place * _ORDER_STEP
        self.version = ""  # "": none given
        self.sha256: "bytes | None" = None  # 32 bytes, or None
        self.priority = _PRIORITY
        self.quantum = _QUANTUM  # instructions
        self.stack = 0  # bytes, 0: the profile's default
        self.heap = 0  # bytes behind the bss, 0: what the image asks for
        self.grants = 0  # bit n: GRANTS[n]
        self.wishes: "dict | None" = None  # of image.wishes, None: none


class Manifest:
    """What a manifest says."""

    def __init__(self) -> None:
        self.entries: "list[Entry]" = []  # in the order in which they are to be loaded
        self.epoch = 0
        self.nodes: "list[int]" = []  # empty: for all
        self.digest = b""  # SHA-256 of its text; this and the next for who has read it
        self.signature = b""  # payload as of an image's section; empty: none


def parse_manifest(text: "str | bytes | bytearray", is_toml: bool) -> "Manifest":
    """The manifest in a text.

    Raises EBADMSG with where="begin" and the line number, from 1, as `offset` (that of the
    image's header for what is wrong with its values); ENOSPC: no memory for what it lists."""
    buf = text.encode() if isinstance(text, str) else text
    if bytes(buf[:3]) == b"\xef\xbb\xbf":  # written by some editors
        buf = buf[3:]
    if len(buf) > MANIFEST_MAX:
        raise HsxError(EBADMSG, "begin", "manifest is larger than 8 KiB")
    try:
        return _Reader(buf).manifest(is_toml)
    except MemoryError:
        pass
    raise HsxError(ENOSPC, "begin", "no memory for the manifest")


def _is_plain(path: object) -> bool:
    """Whether `path` stays inside the card, on every file system it may be on."""
    if not isinstance(path, str) or len(path) > _PATH_MAX:
        return False
    for char in path:
        if char < " " or char in '\\:*?"<>|\x7f':
            return False
    return all(part not in ("", ".", "..") for part in path.split("/"))


def _digest(value: object) -> "bytes | None":
    """The 32 bytes that 64 hex digits stand for; None if they do not."""
    if not isinstance(value, str) or len(value) != 64:
        return None
    try:
        return binascii.unhexlify(value)
    except ValueError:
        return None


class _Reader:
    def __init__(self, buf: "bytes | bytearray") -> None:
        self._buf = buf
        self._places: dict = {}  # where in the text a table is, under its id

    def _bad(self, phrase: str, at: int) -> "HsxError":
        return HsxError(EBADMSG, "begin", phrase, 0, toml.line_of(self._buf, at))

    def manifest(self, is_toml: bool) -> "Manifest":
        root: object
        if is_toml:
            root = toml.loads(self._buf, self._places)
        else:
            root = strict_json.loads(
                self._buf, lambda at: self._bad("JSON is malformed or too deep", at), self._places
            )
        if not isinstance(root, dict) or not is_int(root.get("schema"), 1, 1):
            raise self._bad("manifest has no schema = 1", 0)
        for key in root:
            if key not in ("schema", "image", "epoch", "nodes"):
                raise self._bad("manifest has an unknown key", 0)
        listed = root.get("image", [])
        if not isinstance(listed, list):
            raise self._bad("image is no list of tables", 0)
        manifest = Manifest()
        manifest.epoch = root.get("epoch", 0)
        manifest.nodes = root.get("nodes", [])
        if not is_int(manifest.epoch, 0, 0xFFFFFFFF):
            raise self._bad("epoch is no integer in its range", 0)
        if not isinstance(manifest.nodes, list):
            raise self._bad("nodes is no list of numbers", 0)
        for node in manifest.nodes:
            if not is_int(node, 1, 126):
                raise self._bad("nodes is no list of numbers", 0)
        found = manifest.entries
        for table in listed:
            if not isinstance(table, dict):
                raise self._bad("image is no list of tables", 0)
            found.append(self._entry(table, len(found) + 1))
        # The place makes the order total: MicroPython's sort is not stable.
        found.sort(key=lambda entry: (entry.order, entry.place))
        return manifest

    def _entry(self, table: dict, place: int) -> "Entry":
        at = self._places[id(table)]
        for key in table:
            if key not in KEYS and key not in wishes.KEYS:
                raise self._bad("image has an unknown key", at)
        file = table.get("file", "")
        if not _is_plain(file):
            raise self._bad("file is no plain path inside the card", at)
        entry = Entry(file, place)
        entry.order = self._integer(table, "order", entry.order, -(1 << 29), 1 << 29)
        entry.priority = self._integer(table, "priority", _PRIORITY, 0, 255)
        entry.quantum = self._integer(table, "quantum", _QUANTUM, 100, (1 << 30) - 1)
        entry.stack = self._integer(table, "stack", 0, 0, 0xBFFC)
        entry.heap = self._integer(table, "heap", 0, 0, 0xBFFC)
        version = table.get("version", "")
        if not isinstance(version, str) or len(version) > _VERSION_MAX:
            raise self._bad("version is no text of at most 32 characters", at)
        entry.version = version
        for name in self._names(table, at):
            entry.grants |= 1 << GRANTS.index(name)
        wished = wishes.parse(table, lambda phrase: self._bad(phrase, at))
        wished.pop("version", None)
        entry.wishes = wished or None
        if "sha256" in table:
            entry.sha256 = _digest(table["sha256"])
            if entry.sha256 is None:
                raise self._bad("sha256 is not 64 hex digits", at)
        return entry

    def _names(self, table: dict, at: int) -> list:
        names = table.get("grants", [])
        if not isinstance(names, list) or not all(name in GRANTS for name in names):
            raise self._bad('grants is no list of "load", "abort", "fmap"', at)
        return names

    def _integer(self, table: dict, key: str, default: int, low: int, high: int) -> int:
        value = table.get(key, default)
        if not is_int(value, low, high):
            raise self._bad(key + " is no integer in its range", self._places[id(table)])
        return value
