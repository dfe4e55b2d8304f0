# SPDX-License-Identifier: MIT
"""Wrapping millisecond time, the only kind that the package compares.

`time.ticks_ms()` wraps at a power of two that a port chooses, at most 2**30 (MicroPython
`time.rst`); all arithmetic here is modulo 2**29, so that sums and differences are small ints on
a 32-bit target too (no heap), and CPython counts as the target does. A clock handed to the package
must return values taken through `wrap()`.
"""

from micropython import const

_PERIOD = const(1 << 29)
_HALF = const(1 << 28)


def wrap(ms: int) -> int:
    """Milliseconds of any clock as a tick, 0 .. 2**29 - 1."""
    return ms & (_PERIOD - 1)


def add(tick: int, ms: int) -> int:
    """The tick `ms` milliseconds after `tick`; |ms| < 2**28 (about three days)."""
    return (tick + ms) & (_PERIOD - 1)


def diff(later: int, earlier: int) -> int:
    """Milliseconds from `earlier` to `later`, -2**28 .. 2**28 - 1."""
    return ((later - earlier + _HALF) & (_PERIOD - 1)) - _HALF


def reached(now: int, deadline: int) -> bool:
    """Whether `deadline` is not in the future of `now`."""
    return diff(now, deadline) >= 0
