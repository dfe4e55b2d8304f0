# SPDX-License-Identifier: MIT
"""Runtime: the running node. A soft timer polls it; calls from the REPL go through the lock."""

import os
import time

from micropython import const

from .. import ticks
from ..service.session import Session
from . import lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..contracts import Board, Clock, TimerHandle
    from ..node.node import Node
    from ..service.events import Events
    from .scan import Scan

_PERIOD = const(10)  # ms between polls
_SLICE = const(5)  # ms that loading may take of one poll
_FORSAKEN = const(3000)  # ms without a step after which a REPL load is given up (P-41)


class Runtime:
    """Made by `wiring.build`. `chunk`: the buffer of loads from the REPL."""

    def __init__(
        self,
        board: "Board",
        clock: "Clock",
        node: "Node",
        events: "Events",
        scan: "Scan",
        chunk: "memoryview",
    ) -> None:
        self._board = board
        self._clock = clock
        self._scan = scan
        self._chunk = chunk
        self._timer: "TimerHandle | None" = None
        self._session: "Session | None" = None  # the load that the REPL asked for
        self.node = node
        self.events = events

    def start(self) -> None:
        """Polls from now on by the board's timer; the scan runs in them."""
        self._timer = self._board.timer(_PERIOD, self._tick)

    def stop(self) -> None:
        """Ends polls and apps, these in order, as before a soft reset."""
        if self._timer is not None:
            self._timer.deinit()
            self._timer = None
        self.node.stop()

    def scanned(self) -> bool:
        """Whether the boot scan is over."""
        return self._scan.done

    def poll(self, now: int) -> int:
        """One bounded slice of everything; returns milliseconds until the next is wanted.

        Called in scheduler context only (`lock.run`, or a soft timer)."""
        if not self._scan.done:
            while self._scan.step():
                if ticks.diff(self._clock(), now) >= _SLICE:
                    break
            return 0
        session = self._session
        if session is not None and ticks.diff(now, session.touched) > _FORSAKEN:
            session.abort()
            self._session = None
        return self.node.poll(now)

    def load(self, path: str, **options: "Any") -> int:
        """Loads a file and starts it; returns its PID. Raises HsxError and the file system's
        OSError; then nothing is left of it. Ctrl-C gives the load up."""
        with open(path, "rb") as file:
            size = os.stat(path)[6]
            session = lock.run(self._begin, file.readinto, path, size, options)
            try:
                while lock.run(self._advance, session):
                    pass
            except BaseException:
                lock.run(session.abort)
                raise
            return session.pid

    def run(self) -> None:
        """Gives the node all the time that the REPL does not need, until Ctrl-C. The timer goes
        on, so that the node never depends on how this loop ends."""
        while True:
            time.sleep_ms(min(_PERIOD, lock.run(self._poll)))

    def _begin(
        self, readinto: "Any", path: str, size: int, options: "dict[str, Any]"
    ) -> "Session":
        if self._session is not None:
            # There is one REPL: a load that is still open was left by a Ctrl-C.
            self._session.abort()
            self._session = None
        self._session = Session(
            self.node,
            self.events,
            self._clock,
            readinto,
            self._chunk,
            path,
            size,
            label=path,
            **options,
        )
        return self._session

    def _advance(self, session: "Session") -> bool:
        if session.step():
            return True
        self.node.start(session.pid)
        return False

    def _poll(self) -> int:
        return self.poll(self._clock())

    def _tick(self, timer: "Any") -> None:
        try:
            self.poll(self._clock())
        except Exception as error:  # noqa: BLE001  the node outlives whatever a poll meets
            self.events.emit("warning", 0, {"source": "poll", "detail": repr(error)})
