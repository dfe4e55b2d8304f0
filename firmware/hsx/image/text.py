# SPDX-License-Identifier: MIT
"""Text from outside, judged alike on every tier.

MicroPython's own decoder lets overlong forms and surrogates pass and its `strip()` knows fewer
blanks than CPython's, so both rules are written out here.
"""

_BLANKS = " \t\n\r\v\f"


def is_utf8(view: "bytes | bytearray | memoryview") -> bool:
    """Whether `view` is UTF-8 (RFC 3629)."""
    size = len(view)
    at = 0
    while at < size:
        lead = view[at]
        at += 1
        if lead < 0x80:
            continue
        # Bounds of the byte behind the lead: they shut out overlong forms (E0, F0), surrogates
        # (ED) and what lies beyond U+10FFFF (F4).
        low, high, more = 0x80, 0xBF, 1
        if lead >= 0xF0:
            more = 3
            if lead == 0xF0:
                low = 0x90
            elif lead == 0xF4:
                high = 0x8F
        elif lead >= 0xE0:
            more = 2
            if lead == 0xE0:
                low = 0xA0
            elif lead == 0xED:
                high = 0x9F
        if lead < 0xC2 or lead > 0xF4 or at + more > size or not low <= view[at] <= high:
            return False
        for follow in range(at + 1, at + more):
            if view[follow] & 0xC0 != 0x80:
                return False
        at += more
    return True


def decode(view: "bytes | bytearray | memoryview") -> "str | None":
    """UTF-8 as a string; None if it is none."""
    return str(view, "utf-8") if is_utf8(view) else None


def ascii_only(view: "bytes | bytearray | memoryview") -> str:
    """`view` without all that is not ASCII, and without NULs."""
    return "".join([chr(byte) for byte in view if 0 < byte < 0x80])


def strip(text: str) -> str:
    """`text` without ASCII blanks at its ends."""
    return text.strip(_BLANKS)
