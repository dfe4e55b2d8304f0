# SPDX-License-Identifier: MIT
"""Told: the events of the nodes of a Reach, each once and in its order.

A subscription is renewed instead of acknowledged: from the last event that came, so that one that
was lost on the way comes again, and a node that was reset is heard again.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from hsx.link.host_messages import unpack_told

from . import clock
from .errors import ToolError
from .reach import Reach

_WINDOW = 64  # events on their way
_RENEW = 32  # events after which the subscription is renewed
_EVERY = 10.0  # seconds after which it is renewed anyway; a node forgets a silent host after 30
_LISTEN = 0.1  # seconds, of all nodes together


class Event(NamedTuple):
    """As `hsx.service.events` says; `ts` in ms."""

    seq: int
    ts: int
    kind: str
    pid: int
    data: dict[str, Any]


class Told:
    """From the events that were there when this was made, minus the newest `back`, or from the one
    behind `since` on, as far as each node still has them."""

    def __init__(self, reach: Reach, back: int = 0, since: int | None = None) -> None:
        self._reach = reach
        self._renewed: dict[int, tuple[int, float]] = {}  # at which event, and when
        self._last: dict[int, int] = {}  # seq of the last event that came
        self.newest: dict[int, int] = {}  # seq, when this was made
        for node in reach.numbers:
            newest = self.newest[node] = reach.ask(node, "hello")["seq"]
            wanted = back if since is None else max(0, newest - since)
            self._start(node, newest, min(wanted, newest))

    def follow(self) -> Iterator[tuple[int, Event]]:
        """Events as they come, for ever."""
        while True:
            found = self.listen()
            yield from found

    def past(self) -> Iterator[tuple[int, Event]]:
        """Those that were there when this was made."""
        while any(self._last[node] < newest for node, newest in self.newest.items()):
            before = dict(self._last)
            yield from [pair for pair in self.listen() if pair[1].seq <= self.newest[pair[0]]]
            if before == self._last:
                for node in self.newest:
                    self._renew(node)

    def listen(self) -> list[tuple[int, Event]]:
        """What has come in a moment."""
        found = []
        for node in self._reach.numbers:
            gap = False
            for message in self._reach.link.events(node, _LISTEN / len(self._reach.numbers)):
                event = Event(*unpack_told(message))
                dropped = event.data.get("reason") == "event_dropped"
                if event.seq <= self._last[node] or gap:
                    continue
                gap = event.seq != self._last[node] + 1 and not dropped
                if not gap:
                    self._last[node] = event.seq
                    found.append((node, event))
            at, when = self._renewed[node]
            if gap or self._last[node] - at >= _RENEW or clock.monotonic() - when > _EVERY:
                self._renew(node)
        return found

    def _start(self, node: int, newest: int, back: int) -> None:
        """Subscribes from as far back as the node can."""
        good, bad, tried = -1, back + 1, back  # how far it can, and cannot
        while bad - good > 1:
            self._last[node] = newest - tried
            try:
                self._subscribe(node)
                good = tried
            except ToolError as error:
                if not tried or error.facts.get("detail") != "seq_evicted":
                    raise
                bad = tried
            tried = (good + bad) // 2
        if self._last[node] != newest - good:
            self._last[node] = newest - good
            self._subscribe(node)

    def _renew(self, node: int) -> None:
        try:
            self._subscribe(node)
        except ToolError as error:
            if error.facts.get("detail") != "seq_evicted":
                raise
            # The node was reset, or has dropped what was to come.
            newest = self._reach.ask(node, "hello")["seq"]
            what = "was reset" if newest < self._last[node] else "has dropped events"
            self._reach.output.note(f"hsxctl: {self._reach.where(node)} {what}")
            self._start(node, newest, newest if newest < self._last[node] else 8)

    def _subscribe(self, node: int) -> None:
        self._reach.ask(node, "events", self._last[node], _WINDOW)
        self._renewed[node] = (self._last[node], clock.monotonic())
