# SPDX-License-Identifier: MIT
"""Asks the master of the bus for a set: as long as the boot waits, and from time to time after it.

The question is a `boot` event with the state `asking`, sent whether or not somebody has
subscribed: who the node is and which set it has. The answer is a transfer like any other.
"""

from micropython import const

from .. import ticks
from ..link import messages as m
from ..link.wire import MAX_EVENT, pack_event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..service.loads import Loads
    from .config import Config
    from .links import Links

_EVERY = const(1000)  # ms between two questions


class Ask:
    """`since`: tick at which it began."""

    def __init__(self, links: "Links", service: "Loads", config: "Config") -> None:
        self._links = links
        self._service = service
        self._config = config
        self.since = self._due = service.clock()
        self._before = self._digest()
        self._heard = self.since  # tick at which the wait for an answer began
        self.waits = True  # False as soon as the boot does not wait any more

    def poll(self, now: int) -> None:
        """Asks if it is time, and no transfer is on its way."""
        if self._service.transfer is not None or self._service.work.is_busy():
            self._heard = now
            return
        if not ticks.reached(now, self._due):
            return
        every = _EVERY
        if ticks.diff(now, self._heard) >= self._config.can_wait_ms:
            self.waits = False
            every = 1000 * self._config.can_again_s
        self._due = ticks.add(now, every)
        self._links.ask(self._question(now))

    def answered(self) -> bool:
        """Whether another set is active than when it began."""
        return self._digest() != self._before

    def _digest(self) -> bytes:
        keeper: "Any" = self._service
        return keeper.active_digest() if keeper.KEEPS_SETS and keeper.valid() else b""

    def _question(self, now: int) -> bytes:
        data: "dict[str, Any]" = {
            "state": "asking",
            "source": "CAN",
            "uid": self._links.unique_id(),
        }
        data["network"] = self._service.policy.network
        data["digest"] = self._digest()
        buf = bytearray(m.EVENT_HEAD + MAX_EVENT)
        size = pack_event(memoryview(buf)[m.EVENT_HEAD :], now, "boot", 0, data)
        return m.pack_told(buf, self._service.events.seq, size)
