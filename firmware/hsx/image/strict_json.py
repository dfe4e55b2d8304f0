# SPDX-License-Identifier: MIT
"""JSON (RFC 8259) without surprises: one verdict on every tier, bounded depth.

Both `json` modules are unfit for text from outside: MicroPython's takes commas, colons and
numbers almost anywhere, CPython's takes NaN and recurses as deep as its input says. Here the
grammar is kept, nesting is bounded before it costs stack, strings are UTF-8 without lone
surrogates and integers fit 64 bits. Of equal keys in an object the last one counts, as in both.
"""

from micropython import const

from . import text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

_DEPTH = const(8)  # arrays and objects inside each other
_INTEGER_DIGITS = const(18)  # always fits 64 bits
_NUMBER_CHARS = const(40)

_ESCAPES = b'"\\/bfnrt'
_ESCAPED = b'"\\/\b\f\n\r\t'


def loads(
    buf: "bytes | bytearray | memoryview", bad: "Callable[[int], Exception]", places: dict
) -> object:
    """The value that `buf` holds. What is wrong at a byte is raised as `bad(position)`.

    `places` gets the position behind the opening brace of each object, under the object's id."""
    reader = _Reader(buf, bad, places)
    value = reader.value(_DEPTH)
    if reader.peek():
        raise bad(reader.at)
    return value


class _Reader:
    def __init__(
        self,
        buf: "bytes | bytearray | memoryview",
        bad: "Callable[[int], Exception]",
        places: dict,
    ) -> None:
        self._buf = buf
        self._bad = bad
        self._places = places
        self.at = 0  # next byte

    def _byte(self) -> int:
        """The byte at hand; 0, which fits no grammar rule, at the end."""
        return self._buf[self.at] if self.at < len(self._buf) else 0

    def peek(self) -> int:
        """The next byte that is not blank, not taken; 0 only at the end."""
        while self._byte() in b" \t\n\r":
            self.at += 1
        if self.at < len(self._buf) and self._byte() == 0:
            raise self._bad(self.at)
        return self._byte()

    def _expect(self, char: int) -> None:
        if self.peek() != char:
            raise self._bad(self.at)
        self.at += 1

    def value(self, depth: int) -> object:
        char = self.peek()
        if char == 0x22:
            return self._string()
        if char == 0x7B or char == 0x5B:
            if not depth:
                raise self._bad(self.at)
            self.at += 1
            return self._object(depth - 1) if char == 0x7B else self._array(depth - 1)
        for word, constant in ((b"true", True), (b"false", False), (b"null", None)):
            if bytes(self._buf[self.at : self.at + len(word)]) == word:
                self.at += len(word)
                return constant
        return self._number()

    def _more(self, first: bool, end: int) -> bool:
        """Steps over the comma, or over the closing bracket `end`: then False."""
        if self.peek() == end:
            self.at += 1
            return False
        if not first:
            self._expect(0x2C)
        return True

    def _array(self, depth: int) -> list:
        items: list = []
        while self._more(not items, 0x5D):
            items.append(self.value(depth))
        return items

    def _object(self, depth: int) -> dict:
        items: dict = {}
        self._places[id(items)] = self.at
        while self._more(not items, 0x7D):
            if self.peek() != 0x22:
                raise self._bad(self.at)
            key = self._string()
            self._expect(0x3A)
            items[key] = self.value(depth)
        return items

    def _string(self) -> str:
        start = self.at
        self.at += 1
        raw = bytearray()
        while True:
            char = self._byte()
            if char < 0x20:
                raise self._bad(self.at)
            self.at += 1
            if char == 0x22:
                break
            if char == 0x5C:
                raw.extend(self._escape())
            else:
                raw.append(char)
        string = text.decode(raw)
        if string is None:
            raise self._bad(start)
        return string

    def _escape(self) -> bytes:
        char = self._byte()
        self.at += 1
        if char == 0x75:
            code = self._hex4()
            if 0xD800 <= code < 0xDC00:
                if bytes(self._buf[self.at : self.at + 2]) != b"\\u":
                    raise self._bad(self.at)
                self.at += 2
                low = self._hex4()
                if not 0xDC00 <= low < 0xE000:
                    raise self._bad(self.at)
                code = 0x10000 + ((code & 0x3FF) << 10 | low & 0x3FF)
            elif 0xDC00 <= code < 0xE000:
                raise self._bad(self.at)
            return chr(code).encode()
        index = _ESCAPES.find(bytes((char,)))
        if index < 0:
            raise self._bad(self.at - 1)
        return _ESCAPED[index : index + 1]

    def _hex4(self) -> int:
        code = 0
        for _ in range(4):
            digit = b"0123456789abcdef".find(bytes((self._byte(),)).lower())
            if digit < 0:
                raise self._bad(self.at)
            code = code << 4 | digit
            self.at += 1
        return code

    def _digits(self) -> int:
        """Steps over digits, at least one; how many."""
        start = self.at
        while 0x30 <= self._byte() <= 0x39:
            self.at += 1
        if self.at == start:
            raise self._bad(self.at)
        return self.at - start

    def _number(self) -> "int | float":
        start = self.at
        if self._byte() == 0x2D:
            self.at += 1
        zero = self._byte() == 0x30
        digits = self._digits()
        whole = True
        if zero and digits > 1:
            raise self._bad(start)
        if self._byte() == 0x2E:
            self.at += 1
            self._digits()
            whole = False
        if self._byte() in b"eE":
            self.at += 1
            if self._byte() in b"+-":
                self.at += 1
            self._digits()
            whole = False
        if digits > _INTEGER_DIGITS or self.at - start > _NUMBER_CHARS:
            raise self._bad(start)
        literal = str(self._buf[start : self.at], "ascii")
        return int(literal) if whole else float(literal)
