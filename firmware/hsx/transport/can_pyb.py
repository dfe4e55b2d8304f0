# SPDX-License-Identifier: MIT
"""CAN over `pyb.CAN`: the bxCAN of an STM32, or its FDCAN as that class offers it.

A bxCAN holds three frames for as long as Python does not look, 666 us at 500 kbit/s. So a hard
interrupt takes them into a ring that holds `frames`: what a late poll costs is memory, not frames.
BLOCK and DATA have FIFO 0, all the rest FIFO 1; who takes a frame of the rest first takes those of
FIFO 0, so that one ring keeps the order (rule 9 of docs/links.md).
"""

from micropython import const

from ..native import FrameRing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pyb import CAN

    from ..contracts import CanEngine

_BULK = const(0x300)  # identifiers of BLOCK and DATA, without the base
_REST = const(0x200)  # RET and LOAD; the four operations below it begin with 0
_OVERFLOW = const(2)  # reason of a callback


class CanRunner:
    """`open_can` makes the driver when the runner is opened: a `pyb.CAN` on the bus, at its bit
    rate, with `auto_restart`: the controller comes back from bus-off by itself, after the 128
    pauses that CAN asks for, while `restart()` would wait for an idle bus without any limit.
    `base`: 0x400, the bit that all identifiers have. `frames`: what the ring holds, at 10 bytes
    each; 72 are 16 ms of a full bus at 500 kbit/s, as long as 5 ms of stall between polls every 10
    ms take. `changed`: called with the state in a poll when the controller's error state is
    another than before (1 active, 2 warning, 3 passive, 4 off the bus).
    """

    name = "CAN"

    def __init__(
        self,
        open_can: "Callable[[], CAN]",
        engine: "CanEngine",
        base: int = 0x400,
        frames: int = 72,
        changed: "Callable[[int], object] | None" = None,
    ) -> None:
        self._open_can = open_can
        self._can: "Any" = None  # from the first opening on
        self._engine = engine
        self._base = base
        self._limit = frames
        self._changed = changed
        self._ring = FrameRing(frames, 4)
        self._put = self._ring.put  # made here: an interrupt may not make a bound method
        self._slot: "list[Any]" = [0, False, False, 0, memoryview(bytearray(8))]
        self._frame = engine.frame
        self._buf = bytearray(8)
        self._held = -1  # identifier of a frame in _buf that no mailbox took
        self._info = [0] * 8
        self._state = 0
        self._overruns = 0
        self._received = 0
        self._sent = 0

    def open(self) -> None:
        """Goes onto the bus. Raises what the driver raises: ValueError for a bit rate that its
        clock does not give."""
        can = self._can = self._open_can()
        # A callback that is there would only be exchanged, and its interrupts stay off.
        self._callbacks(None, None)
        base, bulk, rest = self._base, self._base | _BULK, self._base | _REST
        if hasattr(can, "MASK16"):
            # No remote frames; extended ones pass a 16-bit filter, and end at the ring.
            data = (False, False)
            can.setfilter(0, can.MASK16, 0, (bulk, 0x700, bulk, 0x700), rtr=data)
            can.setfilter(1, can.MASK16, 1, (base, 0x600, rest, 0x700), rtr=data)
        else:
            can.setfilter(0, can.MASK, 0, (bulk, 0x700))
            can.setfilter(1, can.MASK, 1, (base, 0x600))
            can.setfilter(2, can.MASK, 1, (rest, 0x700))
        self._callbacks(self._on_bulk, self._on_rest)

    def poll(self, now: int) -> int:
        """Hands on what has come, as much as the ring holds, and sends what is due. Returns
        milliseconds until it wants to be called again."""
        count = self._ring.drain(self._frame, now, self._limit)
        self._received += count
        wait = self._engine.poll(now)
        self._send()
        state = self._can.state()
        if state != self._state:
            self._state = state
            if self._changed is not None:
                self._changed(state)
        return 0 if count == self._limit else wait

    def close(self) -> None:
        """Leaves the bus; frames that were not sent are dropped."""
        self._callbacks(None, None)
        self._can.deinit()
        self._held = -1

    def stats(self) -> "dict[str, int]":
        """Frames received and sent, lost for want of room in the ring; overruns of the
        controller, its error state and counters, and how often it was passive and off."""
        info = self._can.info()
        return {
            "received": self._received,
            "sent": self._sent,
            "lost": self._ring.lost(),
            "overruns": self._overruns,
            "state": self._can.state(),
            "tec": info[0],
            "rec": info[1],
            "passive": info[3],
            "off": info[4],
        }

    def _callbacks(self, bulk: "Any", rest: "Any") -> None:
        self._can.rxcallback(0, bulk)
        self._can.rxcallback(1, rest)

    # Hard interrupts. Both have one priority, so the ring has one writer at a time. The FIFOs are
    # emptied: only that turns their interrupts on again.

    def _on_bulk(self, can: "CAN", reason: int) -> None:
        if reason == _OVERFLOW:
            self._overruns += 1
        slot = self._slot
        put = self._put
        while can.any(0):
            put(can.recv(0, slot))

    def _on_rest(self, can: "CAN", reason: int) -> None:
        if reason == _OVERFLOW:
            self._overruns += 1
        slot = self._slot
        put = self._put
        while can.any(0):
            put(can.recv(0, slot))
        while can.any(1):
            put(can.recv(1, slot))

    def _send(self) -> None:
        """Two frames at most, into empty mailboxes: those of one identifier leave in the order of
        the mailboxes, so a third one, put where the first has left, might overtake the second."""
        can = self._can
        if can.info(self._info)[5]:
            return
        for _ in range(2):
            ident = self._held
            if ident < 0:
                ident = self._engine.next_frame(self._buf)
                if ident < 0:
                    return
            buf, size = self._buf, self._engine.buf_len
            try:
                can.send(buf if size == 8 else memoryview(buf)[:size], ident)
            except OSError:
                self._held = ident
                return
            self._held = -1
            self._sent += 1
