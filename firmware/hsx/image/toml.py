# SPDX-License-Identifier: MIT
"""A subset of TOML 1.0: what is accepted means what CPython's `tomllib` says it means.

There: comments, bare, quoted and dotted keys, basic and literal strings, integers, floats,
booleans, arrays, inline tables, tables and arrays of tables. Not there, and refused by name:
multi-line strings. Refused without one: dates and times, integers of more than 18 digits,
nesting deeper than 8, and dotted keys into a table that another section has opened.

Errors are EBADMSG with where="begin" and the line number, from 1, as `offset`.
"""

from micropython import const

from ..errors import EBADMSG, HsxError
from . import text

_DEPTH = const(8)  # arrays and inline tables inside each other; parts of a key
_INTEGER_DIGITS = const(18)
_NUMBER_CHARS = const(40)

# What a table is, under its id. Numbers above 0: opened by a dotted key of the section of that
# number, and open to that section's dotted keys alone.
_IMPLIED = const(-1)  # by a header that names a table inside it
_DEFINED = const(-2)  # by its own header
_INLINE = const(-3)
_LIST = const(-4)  # the list behind [[headers]]

_ESCAPES = b'"\\bfnrt'
_ESCAPED = b'"\\\b\f\n\r\t'
_DECIMAL = "0123456789"
_BASES = (("0x", 16, "0123456789abcdefABCDEF"), ("0o", 8, "01234567"), ("0b", 2, "01"))


def line_of(buf: "bytes | bytearray", at: int) -> int:
    """The number, from 1, of the line that byte `at` is on."""
    return 1 + bytes(buf[:at]).count(b"\n")


def loads(buf: "bytes | bytearray", places: dict) -> dict:
    """The document in `buf`.

    `places` gets the position behind its header, or behind its opening brace, of each table that
    has one, under the table's id."""
    reader = _Reader(buf, places)
    if not text.is_utf8(buf):
        raise HsxError(EBADMSG, "begin", "text is not UTF-8")
    return reader.document()


def _is_bare(char: int) -> bool:
    """Of a bare key; of a number too, but for its signs and dots."""
    return 0x61 <= char <= 0x7A or 0x41 <= char <= 0x5A or 0x30 <= char <= 0x39 or char in b"-_"


class _Reader:
    def __init__(self, buf: "bytes | bytearray", places: dict) -> None:
        self._buf = buf
        self._places = places
        self._at = 0  # next byte
        self._kinds: dict = {}
        self._sections = 0

    def _bad(self, phrase: str) -> "HsxError":
        return HsxError(EBADMSG, "begin", phrase, 0, line_of(self._buf, self._at))

    def _byte(self) -> int:
        """The byte at hand; 0, which no rule allows, at the end."""
        return self._buf[self._at] if self._at < len(self._buf) else 0

    def _blanks(self) -> int:
        """Steps over blanks; the byte behind them."""
        while self._byte() in b" \t":
            self._at += 1
        return self._byte()

    def _expect(self, char: int, phrase: str) -> None:
        if self._byte() != char:
            raise self._bad(phrase)
        self._at += 1

    def _line_end(self) -> None:
        """Steps over blanks, a comment and the end of the line."""
        if self._blanks() == 0x23:
            while self._byte() >= 0x20 and self._byte() != 0x7F or self._byte() == 9:
                self._at += 1
        if self._byte() == 0x0D:
            self._at += 1
            self._expect(0x0A, "control character")
        elif self._at < len(self._buf):
            self._expect(0x0A, "line goes on behind its end")

    def _lines(self) -> int:
        """Steps over blanks, comments and line ends; the byte behind them."""
        while self._blanks() in b"#\r\n":
            self._line_end()
        return self._byte()

    def document(self) -> dict:
        root: dict = {}
        table = root
        section = self._section()
        while True:
            char = self._lines()
            if self._at == len(self._buf):
                return root
            if char == 0x5B:
                table = self._header(root)
                section = self._section()
                self._places[id(table)] = self._at
            else:
                self._pair(table, section, _DEPTH)
            self._line_end()

    def _section(self) -> int:
        """The number of the section that begins here."""
        self._sections += 1
        return self._sections

    def _header(self, root: dict) -> dict:
        """The table that a [header] or [[header]] opens."""
        self._at += 1
        listed = self._byte() == 0x5B
        if listed:
            self._at += 1
        path = self._path()
        self._expect(0x5D, "table header is not closed")
        if listed:
            self._expect(0x5D, "table header is not closed")
        table = root
        for part in path[:-1]:
            table = self._step(table, part, _IMPLIED)
        last = path[-1]
        child = table.get(last)
        if not listed:
            if child is None:
                return self._new(table, last, _DEFINED)
            if self._kinds.get(id(child)) != _IMPLIED:
                raise self._bad("table or key appears twice")
            self._kinds[id(child)] = _DEFINED
            return child
        if child is None:
            child = table[last] = []
            self._kinds[id(child)] = _LIST
        elif self._kinds.get(id(child)) != _LIST:
            raise self._bad("table or key appears twice")
        child.append({})
        self._kinds[id(child[-1])] = _DEFINED
        return child[-1]

    def _new(self, table: dict, key: str, kind: int) -> dict:
        child = table[key] = {}
        self._kinds[id(child)] = kind
        return child

    def _step(self, table: dict, key: str, section: int) -> dict:
        """The table `key` in `table`, made if need be. `section`: whose dotted key asks, or
        _IMPLIED for a header, which may step into all but inline tables."""
        child = table.get(key)
        if child is None:
            return self._new(table, key, section)
        kind = self._kinds.get(id(child), _INLINE)
        if kind == _INLINE or section != _IMPLIED and kind != section:
            raise self._bad("table is closed to this key")
        return child[-1] if kind == _LIST else child

    def _pair(self, table: dict, section: int, depth: int) -> None:
        path = self._path()
        self._expect(0x3D, "key without =")
        self._blanks()
        value = self._value(depth)
        for part in path[:-1]:
            table = self._step(table, part, section)
        if path[-1] in table:
            raise self._bad("table or key appears twice")
        table[path[-1]] = value

    def _path(self) -> list:
        """A dotted key and the blanks around it."""
        path: list = []
        while len(path) < _DEPTH:
            char = self._blanks()
            start = self._at
            if char in b"\"'":
                path.append(self._string())
            else:
                while _is_bare(self._byte()):
                    self._at += 1
                if self._at == start:
                    raise self._bad("key is missing or has an odd character")
                path.append(str(self._buf[start : self._at], "utf-8"))
            if self._blanks() != 0x2E:
                return path
            self._at += 1
        raise self._bad("nested too deep")

    def _value(self, depth: int) -> object:
        char = self._byte()
        if char in b"\"'":
            return self._string()
        if char == 0x5B or char == 0x7B:
            if not depth:
                raise self._bad("nested too deep")
            self._at += 1
            return self._array(depth - 1) if char == 0x5B else self._inline(depth - 1)
        start = self._at
        while _is_bare(self._byte()) or self._byte() in b"+.:":
            self._at += 1
        token = str(self._buf[start : self._at], "utf-8")
        if token in ("true", "false"):
            return token == "true"
        value = _number(token)
        if value is None:
            raise self._bad("value is missing or of a kind that is not supported")
        return value

    def _array(self, depth: int) -> list:
        items = []
        while self._lines() != 0x5D:
            items.append(self._value(depth))
            if self._lines() != 0x2C:
                break
            self._at += 1
        self._expect(0x5D, "array is not closed")
        return items

    def _inline(self, depth: int) -> dict:
        table: dict = {}
        self._kinds[id(table)] = _INLINE
        self._places[id(table)] = self._at
        section = self._section()
        if self._blanks() != 0x7D:
            self._pair(table, section, depth)
            while self._blanks() == 0x2C:
                self._at += 1
                self._pair(table, section, depth)
        self._expect(0x7D, "inline table is not closed")
        return table

    def _string(self) -> str:
        quote = self._byte()
        self._at += 1
        raw = bytearray()
        while self._byte() != quote:
            char = self._byte()
            if char < 0x20 and char != 9 or char == 0x7F:
                raise self._bad("string is not closed, or has a control character")
            self._at += 1
            if char == 0x5C and quote == 0x22:
                raw.extend(self._escape())
            else:
                raw.append(char)
        self._at += 1
        if not raw and self._byte() == quote:
            raise self._bad("multi-line strings are not supported")
        return str(raw, "utf-8")

    def _escape(self) -> bytes:
        char = self._byte()
        self._at += 1
        if char in b"uU":
            code = 0
            for _ in range(4 if char == 0x75 else 8):
                digit = b"0123456789abcdef".find(bytes((self._byte(),)).lower())
                if digit < 0:
                    raise self._bad("escape is unknown")
                code = code << 4 | digit
                self._at += 1
            if code > 0x10FFFF or 0xD800 <= code < 0xE000:
                raise self._bad("escape is unknown")
            return chr(code).encode()
        index = _ESCAPES.find(bytes((char,)))
        if index < 0:
            raise self._bad("escape is unknown")
        return _ESCAPED[index : index + 1]


def _run(token: str, at: int, digits: str) -> int:
    """Behind the digits at `at`, single underscores between them allowed; `at` if none fit."""
    end = at
    while end < len(token):
        if token[end] not in digits and (token[end] != "_" or end == at or token[end - 1] == "_"):
            break
        end += 1
    return at if end > at and token[end - 1] == "_" else end


def _number(token: str) -> "int | float | None":
    """An integer or a float; None if `token` is neither."""
    plain = token.replace("_", "")
    for prefix, base, digits in _BASES:
        if token[:2] == prefix:
            if (
                len(plain) > 2 + _INTEGER_DIGITS
                or _run(token, 2, digits) != len(token)
                or len(token) == 2
            ):
                return None
            return int(plain[2:], base)
    start = 1 if token[:1] in ("+", "-") else 0
    if token[start:] in ("inf", "nan"):
        return float(token)
    end = _run(token, start, _DECIMAL)
    if end == start or token[start] == "0" and end > start + 1 or len(plain) > _NUMBER_CHARS:
        return None
    if end == len(token):
        return int(plain) if len(plain) - start <= _INTEGER_DIGITS else None
    if token[end] == ".":
        start = end + 1
        end = _run(token, start, _DECIMAL)
        if end == start:
            return None
    if token[end : end + 1] in ("e", "E"):
        start = end + 1
        if token[start : start + 1] in ("+", "-"):
            start += 1
        end = _run(token, start, _DECIMAL)
        if end == start:
            return None
    return float(plain) if end == len(token) else None
