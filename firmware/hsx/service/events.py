# SPDX-License-Identifier: MIT
"""Events: what happened, in a log of bounded bytes (envelope of spec/provisioning.md section 12).

An event is the tuple (seq, ts, type, pid, data): seq counts from 1 and never repeats, ts is a tick
(hsx.ticks), pid is 0 for the node itself, data a dict whose keys belong to the type. In the log it
takes some 40 bytes (`link.wire`); the oldest give way to a new one.
"""

from .. import errors, ticks
from ..errors import EINVAL, ENOENT, HsxError
from ..link.wire import MAX_EVENT, pack_event, unpack_event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..contracts import Clock

    Event = tuple[int, int, str, int, dict[str, Any]]


class Events:
    """`size`: bytes of the log, 255 at least. `sink(event)` gets each as it happens."""

    def __init__(
        self,
        clock: "Clock",
        size: int = 3072,
        sink: "Callable[[Event], None] | None" = None,
    ) -> None:
        if size < MAX_EVENT:
            raise HsxError(EINVAL, "begin", "event log is too small for an event")
        self._clock = clock
        self._log = bytearray(size)
        self._event = bytearray(MAX_EVENT)
        self._first = 0  # place of the oldest event in the log
        self._used = 0  # bytes
        self._sink = sink
        self._heard = -1  # tick at which a subscription was last looked after, -1: never
        self.seq = 0  # of the newest event, 0 before the first
        self.oldest = 1  # seq of the oldest event in the log; seq + 1 while there is none

    def emit(self, kind: str, pid: int, data: "dict[str, Any]") -> None:
        """Records an event; the oldest give way when there is no room."""
        ts = self._clock()
        log = self._log
        size = pack_event(self._event, ts, kind, pid, data)
        while len(log) - self._used < size:
            length = log[self._first]
            self._first = (self._first + length) % len(log)
            self._used -= length
            self.oldest += 1
        to = self._first + self._used
        for at in range(size):
            log[(to + at) % len(log)] = self._event[at]
        self._used += size
        self.seq += 1
        if self._sink is not None:
            self._sink((self.seq, ts, kind, pid, data))

    def warn(self, source: str, error: OSError, **more: "Any") -> None:
        """A `warning` that tells an error; what carries no detail came from a medium."""
        more["source"] = source
        more["code"] = errors.name(error.errno)
        more["detail"] = getattr(error, "detail", "error of the medium")
        self.emit("warning", 0, more)

    def since(self, seq: int) -> "list[Event]":
        """The events newer than `seq` that the log still holds, oldest first."""
        found = []
        at = self._first
        for number in range(self.oldest, self.seq + 1):
            if number > seq:
                found.append(self._read(number, at))
            at = (at + self._log[at]) % len(self._log)
        return found

    def has_listeners(self, within: int) -> bool:
        """Whether anybody has looked for events in the last `within` ms."""
        return self._heard >= 0 and ticks.diff(self._clock(), self._heard) < within

    def listened(self) -> None:
        """A subscription was looked after."""
        self._heard = self._clock()

    def subscribe(self, since: int = -1, window: int = 16) -> "Subscription":
        """Events newer than `since`, by default those from now on. `window`: how many may be on
        their way without an `ack`. ENOENT (`seq_evicted`) if the log no longer holds the next."""
        if since < 0:
            since = self.seq
        if not self.oldest - 1 <= since <= self.seq:
            raise HsxError(ENOENT, "begin", "seq_evicted")
        return Subscription(self, since, window)

    def copy(self, seq: int, buf: "memoryview") -> int:
        """Puts the event `seq`, which the log must hold, packed into `buf`; its length."""
        log = self._log
        at = self._first
        for _ in range(seq - self.oldest):
            at = (at + log[at]) % len(log)
        size = log[at]
        for n in range(size):
            buf[n] = log[(at + n) % len(log)]
        return size

    def _read(self, seq: int, at: int) -> "Event":
        log = self._log
        for n in range(log[at]):
            self._event[n] = log[(at + n) % len(log)]
        ts, kind, pid, data = unpack_event(self._event)
        return (seq, ts, kind, pid, data)


class Subscription:
    """What one reader of the events has had. It never holds up anything: who does not acknowledge
    gets no more, and what the log drops meanwhile is lost to him, and told (P-83)."""

    def __init__(self, events: Events, since: int, window: int) -> None:
        self._events = events
        self._window = window
        self.sent = since  # seq of the last event that was handed out or lost
        self.acked = since  # seq up to which all were acknowledged

    @property
    def stalled(self) -> bool:
        """Whether nothing more is handed out before an `ack`."""
        return self.sent - self.acked >= self._window

    def next(self, buf: "memoryview") -> int:
        """Packs the next event into `buf` (MAX_EVENT bytes); its length, 0 if there is none or the
        window is used up. `sent` is its seq. After a loss a `warning` comes first, with the reason
        `event_dropped`, the first lost seq and the number of them; it has the seq of the last lost
        one."""
        events = self._events
        events.listened()
        if self.stalled or self.sent >= events.seq:
            return 0
        lost = events.oldest - 1 - self.sent
        if lost > 0:
            data = {"reason": "event_dropped", "dropped_seq": self.sent + 1, "drops": lost}
            self.sent += lost
            # What was lost is not on its way.
            self.acked = max(self.acked, self.sent - self._window + 1)
            events.copy(events.oldest, buf)
            return pack_event(buf, unpack_event(buf)[0], "warning", 0, data)
        self.sent += 1
        return events.copy(self.sent, buf)

    def ack(self, seq: int) -> None:
        """All up to `seq` have arrived. EINVAL for one that was never handed out; one that is
        older than the last is ignored."""
        if seq > self.sent:
            raise HsxError(EINVAL, "begin", "ack of an event that was not sent")
        self.acked = max(self.acked, seq)
