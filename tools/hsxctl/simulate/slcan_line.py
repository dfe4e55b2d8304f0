# SPDX-License-Identifier: MIT
"""Lines of SLCAN (LAWICEL's ASCII protocol), as the bench bus speaks them to both sides.

Beside what adapters have, `Z2` turns on time stamps of twelve hex digits, microseconds of the bus:
those of LAWICEL (`Z1`: four digits, milliseconds of a minute) are too short for whoever measures.
"""

from functools import lru_cache

from .can_bus import EXTENDED, REMOTE, Frame

OPEN = b"O\r"
BAD = b"\a"
LONGEST = 64  # bytes of a line; of one that is longer only the end is looked at
NO_STAMPS, SHORT_STAMPS, LONG_STAMPS = range(3)
STAMPS = {b"Z0": NO_STAMPS, b"Z1": SHORT_STAMPS, b"Z2": LONG_STAMPS}
ANSWERS = {b"V": b"V1010\r", b"v": b"v0100\r", b"N": b"NHSXB\r", b"F": b"F00\r"}

_KINDS = {b"t": (3, 0), b"T": (8, EXTENDED), b"r": (3, REMOTE), b"R": (8, EXTENDED | REMOTE)}
_MINUTE = 60_000  # ms


@lru_cache(maxsize=1 << 12)
def frame(line: bytes) -> Frame | None:
    """The frame of a line without its end; None: it is something else."""
    kind = _KINDS.get(line[:1])
    if kind is None:
        return None
    digits, flags = kind
    try:
        ident = int(line[1 : 1 + digits], 16)
        size = int(line[1 + digits : 2 + digits], 16)
        data = bytes.fromhex(line[2 + digits :].decode("ascii"))
    except ValueError:
        return None
    if flags & REMOTE and not data:
        data = bytes(min(size, 8))
    if size > 8 or len(data) != size or ident >> (29 if flags & EXTENDED else 11):
        return None
    return ident | flags, data


def _text(frame: Frame) -> str:
    ident, data = frame
    flags = ident & (EXTENDED | REMOTE)
    kind = "R" if flags & REMOTE else "T"
    digits = 8 if flags & EXTENDED else 3
    text = f"{kind if digits == 8 else kind.lower()}{ident ^ flags:0{digits}X}{len(data)}"
    return text if flags & REMOTE else text + data.hex().upper()


@lru_cache(maxsize=1 << 12)
def plain(frame: Frame) -> bytes:
    """A frame as a line with its end."""
    return (_text(frame) + "\r").encode()


def stamped(frame: Frame, stamps: int, us: int) -> bytes:
    """The same with the time when it was on the bus."""
    return (_text(frame) + _stamp(stamps, us) + "\r").encode()


def done(ident: int, stamps: int, us: int) -> bytes:
    """The answer to whoever sent a frame, when it has left."""
    return (("Z" if ident & EXTENDED else "z") + _stamp(stamps, us) + "\r").encode()


def _stamp(stamps: int, us: int) -> str:
    if stamps == SHORT_STAMPS:
        return f"{us // 1000 % _MINUTE:04X}"
    return f"{us:012X}" if stamps == LONG_STAMPS else ""
