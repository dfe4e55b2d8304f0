# SPDX-License-Identifier: MIT
"""What apps write, on its way to the console, and as `stdout` events to hosts that listen."""

from micropython import const

from .. import ticks
from ..image import text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..contracts import Clock, TextSink
    from ..node.tasks import Task
    from .events import Events

_LISTENS = const(2000)  # ms since a subscription was last looked after
_SECOND = const(1000)  # ms
_TOLD = const(8)  # events in a second: an app that never stops printing must not fill the log
_LONGEST = const(56)  # bytes of an event's text


class AppText:
    """`sink` is the console's; None: there is none."""

    def __init__(self, events: "Events", clock: "Clock", sink: "TextSink | None") -> None:
        self._events = events
        self._clock = clock
        self._sink = sink
        self._second = clock()
        self._told = 0  # events in it
        self._cut = 0  # bytes that no event told since the last one did

    def text(self, task: "Task", view: "memoryview", stream: int) -> None:
        """Takes text as `contracts.TextSink`."""
        if self._sink is not None:
            self._sink(task, view, stream)
        size = len(view)
        events = self._events
        if not size or not events.has_listeners(_LISTENS):
            return
        now = self._clock()
        if ticks.diff(now, self._second) >= _SECOND:
            self._second = now
            self._told = 0
        if self._told == _TOLD:
            self._cut = (self._cut + size) & 0xFFFFFF
            return
        self._told += 1
        data: "dict[str, Any]" = {"stream": stream, "text": text.ascii_only(view[:_LONGEST])}
        cut = self._cut + max(0, size - _LONGEST)
        self._cut = 0
        if cut:
            data["cut"] = cut
        events.emit("stdout", task.pid, data)
