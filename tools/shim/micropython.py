# SPDX-License-Identifier: MIT
"""The part of MicroPython's `micropython` module that the package uses, for CPython.

Installed as the top-level module `micropython` on hosts; the target has its own.
"""

from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")


def const(value: _T) -> _T:
    """The value itself: folding constants is the cross compiler's business."""
    return value


def schedule(function: Callable[[object], object], arg: object) -> None:
    """Calls `function(arg)` at once: a host has no interrupt to leave first."""
    function(arg)
