# SPDX-License-Identifier: MIT
"""Waits for events. The limit is for an event that never comes; no slow machine reaches it."""

import time
from collections.abc import Callable

PATIENCE = 240.0  # seconds


class Deadline:
    """`over()`: whether PATIENCE has passed since it was made."""

    def __init__(self) -> None:
        self._end = time.monotonic() + PATIENCE

    def over(self) -> bool:
        return time.monotonic() > self._end


def until(condition: Callable[[], object], every: float = 0.01) -> None:
    """Asks each `every` seconds until the condition holds. AssertionError: it never did."""
    deadline = Deadline()
    while not condition():
        assert not deadline.over(), "this condition never held"
        time.sleep(every)
