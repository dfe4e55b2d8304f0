# SPDX-License-Identifier: MIT
"""CAN over `pyb.CAN`: the bxCAN of an STM32, or its FDCAN as that class offers it.

A bxCAN holds three frames for as long as Python does not look, 666 us at 500 kbit/s. So a hard
interrupt takes them into a ring that holds `frames`: what a late poll costs is memory, not frames.
BLOCK and DATA have FIFO 0, all the rest FIFO 1; who takes a frame of the rest first takes those of
FIFO 0, so that one ring keeps the order (rule 9 of docs/links.md).

The driver turns the interrupt of a FIFO off before it calls back, and only `recv` turns it on
again. A frame that comes while a callback runs is taken by that callback, but its interrupt is due
still: the next callback finds nothing, and the interrupt stays off. The poll after it turns it on.
"""

from micropython import const

from ..native import FrameRing
from ..ticks import diff

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pyb import CAN

    from ..contracts import CanEngine

_BULK = const(0x300)  # identifiers of BLOCK and DATA, without the base
_REST = const(0x200)  # RET and LOAD; the four operations below it begin with 0
_PENDING = const(0)  # reasons of a callback
_OVERFLOW = const(2)
_FOVR = const(0x10)  # a frame was lost: in both registers RFxR of a bxCAN (RM0090 32.9.2)
_OFF = const(4)  # BUS_OFF
_RETURN = const(1000)  # ms that an FDCAN stays off the bus
_LONGEST = const(64)  # bytes that the driver of an FDCAN writes for a frame of DLC 15


class CanRunner:
    """`open_can` makes the driver when the runner is opened: a `pyb.CAN` on the bus, at its bit
    rate, with `auto_restart`: a bxCAN comes back from bus-off by itself, after the 128 pauses that
    CAN asks for, while its `restart()` would wait for an idle bus without any limit. The driver of
    an FDCAN ignores `auto_restart`, and its `restart()` waits for nothing: there the runner calls
    it each second.
    `base`: 0x400, the bit that all identifiers have. `frames`: what the ring holds, at 10 bytes
    each; 72 are 16 ms of a full bus at 500 kbit/s, as long as 5 ms of stall between polls every 10
    ms take. `changed`: called with the state in a poll when the controller's error state is
    another than before (1 active, 2 warning, 3 passive, 4 off the bus). `fifos`: of a bxCAN,
    which tells overruns there: `machine.mem32`, addresses of the registers RF0R and RF1R.
    """

    name = "CAN"

    def __init__(
        self,
        open_can: "Callable[[], CAN]",
        engine: "CanEngine",
        base: int = 0x400,
        frames: int = 72,
        changed: "Callable[[int], object] | None" = None,
        fifos: "tuple[Any, int, int] | None" = None,
    ) -> None:
        self._open_can = open_can
        self._can: "Any" = None  # while the runner is open
        self._engine = engine
        self._base = base
        self._limit = frames
        self._changed = changed
        self._fifos = fifos
        self._ring = FrameRing(frames, 4)
        # Made here: an interrupt may not make a bound method.
        self._put = self._ring.put
        self._handlers = (self._on_bulk, self._on_rest)
        self._slot: "list[Any]" = [0, False, False, 0, memoryview(bytearray(_LONGEST))]
        self._frame = engine.frame
        self._buf = bytearray(8)
        self._held = -1  # identifier of a frame in _buf that no mailbox took
        self._info = [0] * 8
        self._deaf = False  # a callback came to an empty FIFO: its interrupt is off
        self._state = 0
        self._since = 0  # tick of the last change of state, or of the last restart
        self._overruns = 0
        self._passive = 0  # before the controller was opened the last time, as the next one
        self._off = 0
        self._received = 0
        self._sent = 0

    def open(self) -> None:
        """Goes onto the bus. Raises what the driver raises: ValueError for a bit rate that its
        clock does not give."""
        can = self._open_can()
        self._can = can
        # A callback that is there would only be exchanged, and its interrupts stay off.
        self._listen(False)
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
        self._listen(True)

    def poll(self, now: int) -> int:
        """Hands on what has come, as much as the ring holds, and sends what is due. Returns
        milliseconds until it wants to be called again."""
        if self._deaf:
            self._deaf = False
            self._listen(False)
            self._listen(True)
        count = self._ring.drain(self._frame, now, self._limit)
        self._received += count
        wait = self._engine.poll(now)
        self._send()
        self._watch(now)
        return 0 if count == self._limit else wait

    def close(self) -> None:
        """Leaves the bus; frames that were not sent are dropped."""
        if self._can is None:
            return
        self._listen(False)
        info = self._can.info(self._info)
        self._passive += info[3]
        self._off += info[4]
        self._can.deinit()
        self._can = None
        self._held = -1

    def stats(self) -> "dict[str, int]":
        """Frames received and sent, lost for want of room in the ring; overruns of the
        controller, its error state and counters, and how often it was passive and off."""
        can = self._can
        info = can.info() if can is not None else [0] * 8
        return {
            "received": self._received,
            "sent": self._sent,
            "lost": self._ring.lost(),
            "overruns": self._overruns,
            "state": can.state() if can is not None else 0,
            "tec": info[0],
            "rec": info[1],
            "passive": self._passive + info[3],
            "off": self._off + info[4],
        }

    def _watch(self, now: int) -> None:
        """Tells another error state; brings an FDCAN back that is off the bus."""
        state = self._can.state()
        if state != self._state:
            self._state = state
            self._since = now
            if self._changed is not None:
                self._changed(state)
        elif state == _OFF and diff(now, self._since) >= _RETURN:
            self._since = now
            if not hasattr(self._can, "MASK16"):
                self._can.restart()

    def _listen(self, on: bool) -> None:
        for fifo in (0, 1):
            self._can.rxcallback(fifo, self._handlers[fifo] if on else None)

    # Hard interrupts. Both have one priority, so the ring has one writer at a time. The FIFOs are
    # emptied: only that turns their interrupts on again.

    def _on_bulk(self, can: "CAN", reason: int) -> None:
        if reason == _OVERFLOW:
            self._overruns += 1
        elif reason == _PENDING and not can.any(0):
            self._deaf = True
        while can.any(0):
            self._take(can, 0)

    def _on_rest(self, can: "CAN", reason: int) -> None:
        if reason == _OVERFLOW:
            self._overruns += 1
        elif reason == _PENDING and not can.any(1):
            self._deaf = True
        while can.any(1):
            # Frames of FIFO 0 that came before this one are there already.
            while can.any(0):
                self._take(can, 0)
            self._take(can, 1)

    def _take(self, can: "CAN", fifo: int) -> None:
        """One frame into the ring. `recv` clears the flags of a bxCAN unseen as it releases the
        frame (`can_receive` writes back what it reads), so an overrun is counted before."""
        fifos = self._fifos
        if fifos is not None and fifos[0][fifos[1 + fifo]] & _FOVR:
            self._overruns += 1
        self._put(can.recv(fifo, self._slot))

    def _send(self) -> None:
        """Two frames at most, into empty mailboxes: those of one identifier leave in the order of
        the mailboxes, so a third one, put where the first has left, might overtake the second. On
        an FDCAN the driver never reports a waiting frame; its frames leave as they were queued."""
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
