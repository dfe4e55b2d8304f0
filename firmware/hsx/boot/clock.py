# SPDX-License-Identifier: MIT
"""The node's clock: the port's. A port without `time` has one that goes on when it is told to."""

from .. import ticks

try:
    import time
except ImportError:
    time = None  # type: ignore[assignment]

HAS_TIME = hasattr(time, "ticks_ms")  # CPython's `time` is another

_told = [0]  # ms, where nothing counts them


def now() -> int:
    """Milliseconds as ticks."""
    if HAS_TIME:
        # The stubs hide that it is an int.
        return ticks.wrap(time.ticks_ms())  # type: ignore[arg-type]
    return _told[0]


def pass_ms(ms: int) -> None:
    """Waits; where there is no clock, says that this time is over."""
    if HAS_TIME:
        time.sleep_ms(ms)
    else:
        advance(ms)


def advance(ms: int) -> None:
    """Tells a port without a clock how long something took. Others know."""
    _told[0] = ticks.add(_told[0], ms)
