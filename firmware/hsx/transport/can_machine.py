# SPDX-License-Identifier: MIT
"""CAN over `machine.CAN`, the class that newer MicroPython has for all its ports.

One filter takes all that the base bit says, and as the first one it belongs to receive FIFO 0. So
the ring, which a hard interrupt fills, keeps the order (rule 9 of docs/links.md), and FIFO 1 stays
empty. On a bxCAN the driver's `recv` waits for the next interrupt, a millisecond at most, where it
finds a FIFO empty, and an interrupt that waits holds up the node: there the FIFO's register tells
whether a frame is in it.

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

    from machine import CAN

    from ..contracts import CanEngine

_BASE = const(0x400)  # the bit that tells the frames of the base from others
_OFF = const(4)  # STATE_BUS_OFF
_RETURN = const(1000)  # ms that the controller stays off the bus
_LONGEST = const(64)  # bytes that the driver of an FDCAN writes for a frame of DLC 15
_FMP = const(3)  # frames, and one was lost: in the register RF0R of a bxCAN (RM0090 32.9.2)
_FOVR = const(0x10)


class CanRunner:
    """`open_can` makes the driver when the runner is opened: a `machine.CAN` on the bus, at its
    bit rate. `base`: 0x400, the bit that all identifiers have. `frames`: what the ring holds, at
    10 bytes each; 72 are 16 ms of a full bus at 500 kbit/s, as long as 5 ms of stall between polls
    every 10 ms take. `changed`: called with the state in a poll when the controller's error state
    is another than before (1 active, 2 warning, 3 passive, 4 off the bus). `fifos`: of a bxCAN,
    which tells overruns there: `machine.mem32`, addresses of the registers RF0R and RF1R.

    A controller that is off the bus is opened anew each second until that succeeds: `restart()` of
    the driver would wait for an idle bus without any limit, while opening gives up after 10 ms.
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
        self._ring = FrameRing(frames, 1)
        # Made here: an interrupt may not make a bound method.
        self._put = self._ring.put
        self._handler = self._on_frames
        self._slot: "list[Any]" = [0, memoryview(bytearray(_LONGEST)), 0, 0]
        self._frame = engine.frame
        self._buf = bytearray(8)
        self._held = -1  # identifier of a frame in _buf that the queue did not take
        self._counters: "list[Any]" = [0] * 8
        self._deaf = False  # a callback found no frame: an interrupt is off
        self._state = 0
        self._since = 0  # tick of the last change of state
        self._overruns = 0  # that the driver has not counted since it was opened
        self._passive = 0  # before the controller was opened the last time, as the next one
        self._off = 0
        self._received = 0
        self._sent = 0

    def open(self) -> None:
        """Goes onto the bus. Raises what the driver raises: ValueError for a bit rate that its
        clock does not give, OSError on a bus that is held down."""
        can = self._open_can()
        can.set_filters(((self._base, _BASE, 0),))
        can.irq(self._handler, can.IRQ_RX, True)
        self._can = can

    def poll(self, now: int) -> int:
        """Hands on what has come, as much as the ring holds, and sends what is due. Returns
        milliseconds until it wants to be called again."""
        state = self._state_now()
        if state != self._state:
            self._state = state
            self._since = now
            if self._changed is not None:
                self._changed(state)
        elif state == _OFF and diff(now, self._since) >= _RETURN:
            self._since = now
            self.close()
            try:
                self.open()
            except OSError:
                self._can = None  # held down still
        can = self._can
        if self._deaf and can is not None:
            self._deaf = False
            can.irq(self._handler, can.IRQ_RX, True)
        count = self._ring.drain(self._frame, now, self._limit)
        self._received += count
        wait = self._engine.poll(now)
        self._send()
        return 0 if count == self._limit else wait

    def close(self) -> None:
        """Leaves the bus; frames that were not sent are dropped."""
        if self._can is None:
            return
        counters: "list[Any]" = self._can.get_counters(self._counters)
        self._passive += counters[3]
        self._off += counters[4]
        self._overruns += counters[7]
        self._can.deinit()
        self._can = None
        self._held = -1

    def stats(self) -> "dict[str, int]":
        """Frames received and sent, lost for want of room in the ring; overruns of the
        controller, its error state and counters, and how often it was passive and off."""
        counters: "list[Any]" = [0] * 8
        if self._can is not None:
            self._can.get_counters(counters)
        return {
            "received": self._received,
            "sent": self._sent,
            "lost": self._ring.lost(),
            "overruns": self._overruns + counters[7],
            "state": self._state_now(),
            "tec": counters[0],
            "rec": counters[1],
            "passive": self._passive + counters[3],
            "off": self._off + counters[4],
        }

    def _state_now(self) -> int:
        return self._can.state() if self._can is not None else _OFF

    def _on_frames(self, can: "CAN") -> None:
        """Hard interrupt. `recv` clears the flags of a bxCAN unseen as it releases a frame
        (`can_receive` writes back what it reads), so overruns are counted before."""
        slot = self._slot
        put = self._put
        fifos = self._fifos
        deaf = True
        while True:
            if fifos is not None:
                flags = fifos[0][fifos[1]]
                if flags & _FOVR:
                    self._overruns += 1
                if not flags & _FMP:
                    break
            # What it returns is the list that it was handed; the stub says a tuple.
            if not put(can.recv(slot)):  # type: ignore[arg-type]
                break
            deaf = False
        if deaf:
            self._deaf = True

    def _send(self) -> None:
        """As many frames as the queue takes: it refuses a second one of the same identifier."""
        can = self._can
        while self._state != _OFF:
            ident = self._held
            if ident < 0:
                ident = self._engine.next_frame(self._buf)
                if ident < 0:
                    return
            buf, size = self._buf, self._engine.buf_len
            try:
                taken = can.send(ident, buf if size == 8 else memoryview(buf)[:size])
            except OSError:
                taken = None  # off the bus
            if taken is None:
                self._held = ident
                return
            self._held = -1
            self._sent += 1
