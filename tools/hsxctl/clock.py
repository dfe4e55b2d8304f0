# SPDX-License-Identifier: MIT
"""The clock that all waits of hsxctl for nodes are measured by, and how long they are.

HSXCTL_PATIENCE in the environment, 1 or more, multiplies how long hsxctl waits for an answer:
emulated nodes answer late where they share a core with other programs.
"""

import os
import time

from hsx import ticks

from .errors import USAGE, ToolError

_NAME = "HSXCTL_PATIENCE"


def monotonic() -> float:
    """Seconds that only grow."""
    return time.monotonic()


def sleep(seconds: float) -> None:
    """Waits for so long by the same clock."""
    time.sleep(seconds)


def tick() -> int:
    """The same as a tick of hsx.ticks: milliseconds that wrap."""
    return ticks.wrap(int(monotonic() * 1000))


def patient(wait: float) -> float:
    """How long to wait for what should come within `wait`, in the same unit. Raises ToolError for
    a factor that is no number or less than 1."""
    text = os.environ.get(_NAME, "1")
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if not 1 <= factor <= 1000:
        raise ToolError(f"{_NAME}={text} is no number from 1 to 1000", status=USAGE)
    return wait * factor
