# SPDX-License-Identifier: MIT
"""Events: what happened, in a bounded ring (envelope of spec/provisioning.md section 12).

An event is the tuple (seq, ts, type, pid, data): seq counts from 1 and never repeats, ts is a tick
(hsx.ticks), pid is 0 for the node itself, data a dict whose keys belong to the type.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..contracts import Clock


class Events:
    """The ring holds the newest `capacity` events; `sink(event)` gets each as it happens."""

    def __init__(
        self,
        clock: "Clock",
        capacity: int = 64,
        sink: "Callable[[tuple[Any, ...]], None] | None" = None,
    ) -> None:
        self._clock = clock
        self._ring: "list[tuple[Any, ...] | None]" = [None] * capacity
        self._sink = sink
        self.seq = 0  # of the newest event, 0 before the first

    def emit(self, kind: str, pid: int, data: "dict[str, Any]") -> None:
        """Records an event; the oldest gives way when the ring is full."""
        self.seq += 1
        event = (self.seq, self._clock(), kind, pid, data)
        self._ring[self.seq % len(self._ring)] = event
        if self._sink is not None:
            self._sink(event)

    def since(self, seq: int) -> "list[tuple[Any, ...]]":
        """The events newer than `seq` that the ring still holds, oldest first."""
        first = max(seq + 1, self.seq - len(self._ring) + 1, 1)
        found = [self._ring[n % len(self._ring)] for n in range(first, self.seq + 1)]
        return [event for event in found if event is not None]
