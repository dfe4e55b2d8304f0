# SPDX-License-Identifier: MIT
"""`.value`, `.cmd` and `.mailbox`: JSON in the source to records of an image's metadata.

Keys are those of spec/hxe_v2.md section 11, payloads of section 7. JSON is one line, an object or
an array of objects, read by the same strict reader as a node reads mailboxes with.
"""

import json
import re
from typing import Any

from hsx.errors import HsxError
from hsx.image import build, metadata, metadata_json, strict_json

from . import lexer
from .lexer import SourceError, Where

_VALUE_FLAGS = {"RO": 1, "PERSIST": 2, "STICKY": 4, "PIN": 8, "BOOL": 16}
_COMMAND_FLAGS = {"PIN": 1, "ASYNC": 2}
_AUTH = {"PUBLIC": 0, "USER": 1, "ADMIN": 2, "FACTORY": 3}
_LOST = ("rate_ms", "debounce_ms")  # the image has no field for them
_HEX = re.compile(r"[:\[,]\s*0x[0-9a-fA-F]", re.IGNORECASE)


class Declarations:
    """What the source declares, in its order; `handlers` waits for the link step."""

    def __init__(self) -> None:
        self.values: list[metadata.Value] = []
        self.commands: list[metadata.Command] = []
        self.mailboxes: list[dict] = []
        self.handlers: list[tuple[Where, metadata.Command, str | int]] = []
        self._seen: dict[tuple, Where] = {}  # values and commands, each once in an image
        self._mailboxes_seen: set = set()  # identities, as read_mailboxes() keeps them

    def add(self, directive: str, text: str, where: Where) -> list[str]:
        """Takes one directive's JSON; gives warnings. SourceError, then nothing of it counts."""
        entries = _objects(text)
        read = {".value": self._value, ".cmd": self._command, ".mailbox": self._mailbox}
        warnings: list[str] = []
        for entry in entries:
            warnings += read[directive](_Fields(entry), where)
        return warnings

    def _once(self, key: tuple, text: str, where: Where) -> None:
        if key in self._seen:
            raise SourceError(f"{text} is declared at {self._seen[key]} already")
        self._seen[key] = where

    def _value(self, fields: "_Fields", where: Where) -> list[str]:
        value = metadata.Value(
            group=fields.integer(("group", "group_id"), 0xFF),
            id=fields.integer(("id", "value", "value_id"), 0xFF),
            flags=fields.names("flags", _VALUE_FLAGS),
            auth=fields.names("auth", _AUTH),
            init=fields.half("init"),
            name=fields.text("name"),
            unit=fields.text("unit"),
            epsilon=fields.half("epsilon"),
            min=fields.half("min"),
            max=fields.half("max"),
            persist_key=fields.integer(("persist_key", "persist"), 0xFFFF, 0),
            group_name=fields.text("group_name"),
        )
        self._once(("value", value.group, value.id), f"value {value.group}:{value.id}", where)
        self.values.append(value)
        return fields.left()

    def _command(self, fields: "_Fields", where: Where) -> list[str]:
        handler = fields.take(("handler", "handler_offset"), 0)
        if not (isinstance(handler, str) and lexer.NAME.fullmatch(handler)):
            handler = _integer("handler", handler, 0xFFFFFFFF)
        command = metadata.Command(
            group=fields.integer(("group", "group_id"), 0xFF),
            id=fields.integer(("id", "cmd", "cmd_id"), 0xFF),
            flags=fields.names("flags", _COMMAND_FLAGS),
            auth=fields.names("auth", _AUTH),
            handler=0,
            name=fields.text("name"),
            help=fields.text("help") or "",
            group_name=fields.text("group_name"),
        )
        self._once(
            ("command", command.group, command.id), f"command {command.group}:{command.id}", where
        )
        self.handlers.append((where, command, handler))
        self.commands.append(command)
        return fields.left()

    def _mailbox(self, fields: "_Fields", where: Where) -> list[str]:
        """Checked as a node would, kept as it stands: other tools may read more of it."""
        payload = json.dumps([fields.entry]).encode()
        section = metadata.Section(memoryview(payload), 0)
        records: list[metadata.Mailbox] = []
        try:
            metadata_json.read_mailboxes(section, 1, self._mailboxes_seen, records)
        except HsxError as error:
            raise SourceError(error.detail, 'Write {"target": "app:name", ...}.') from None
        self.mailboxes.append({**fields.entry, "target": records[0].target})
        return []


class _Fields:
    """One JSON object, read field by field; what nobody asked for is a warning."""

    def __init__(self, entry: dict) -> None:
        self.entry = entry
        self._asked: set[str] = set()

    def take(self, keys: tuple[str, ...], default: Any) -> Any:
        """The first of several names for one thing that the object has."""
        self._asked.update(keys)
        given = [key for key in keys if self.entry.get(key) is not None]
        if len(given) > 1:
            raise SourceError(f"'{given[0]}' and '{given[1]}' are the same thing", "Keep one.")
        return self.entry[given[0]] if given else default

    def integer(self, keys: tuple[str, ...], top: int, default: int | None = None) -> int:
        value = self.take(keys, default)
        if value is None:
            raise SourceError(f"'{keys[0]}' is missing", f"It is a number from 0 to {top}.")
        return _integer(keys[0], value, top)

    def text(self, key: str) -> str | None:
        value = self.take((key,), None)
        if value is not None and (not isinstance(value, str) or "\0" in value):
            raise SourceError(f"'{key}' is no text")
        return value

    def names(self, key: str, known: dict[str, int]) -> int:
        """A number, or names joined by | ."""
        value = self.take((key,), 0)
        if not isinstance(value, str) or lexer.number(value) is not None:
            return _integer(key, value, 0xFF)
        bits = 0
        for name in value.split("|") if value.strip() else []:
            if name.strip().upper() not in known:
                raise SourceError(f"'{key}' has no {name.strip()}", f"It has {' '.join(known)}.")
            bits |= known[name.strip().upper()]
        return bits

    def half(self, key: str) -> int:
        """Bits of an f16: `key` as a number, to nearest even, or `key`_raw as they are."""
        self._asked.update((key, key + "_raw"))
        if self.entry.get(key + "_raw") is not None:
            return _integer(key + "_raw", self.entry[key + "_raw"], 0xFFFF)
        value = self.take((key,), 0)
        if not isinstance(value, (int, float)):
            raise SourceError(f"'{key}' is no number")
        return build.f16(value)

    def left(self) -> list[str]:
        """What the object has and no field took."""
        found = []
        for key in self.entry:
            if key in _LOST:
                found.append(f"'{key}' is lost: an image has no field for it")
            elif key not in self._asked:
                found.append(f"'{key}' means nothing here and is lost")
        return found


def _integer(key: str, value: Any, top: int) -> int:
    if isinstance(value, str):
        value = lexer.number(value.strip())
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= top:
        raise SourceError(f"'{key}' is no number from 0 to {top}")
    return value


def _objects(text: str) -> list[dict]:
    def bad(position: int) -> SourceError:
        hint = "It stands on one line (a ; starts a comment, also in a string: write \\u003b)."
        if _HEX.search(text):
            hint = 'JSON has no hex numbers: write 4660, or "0x1234" in quotes.'
        return SourceError(f"no JSON from byte {position} of it on", hint)

    found: Any = strict_json.loads(text.encode("utf-8", "replace"), bad, {})
    entries = found if isinstance(found, list) else [found]
    if not all(isinstance(entry, dict) for entry in entries):
        raise SourceError("neither a JSON object nor an array of objects")
    return entries
