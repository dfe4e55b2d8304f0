# SPDX-License-Identifier: MIT
"""`machine.CAN`, the CAN class that newer MicroPython has; 1.25 has none."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from fakes import Misuse, machine
from fakes.bxcan import MAILBOXES, BxCan, Fifo
from fakes.canbus import Frame

if TYPE_CHECKING:
    Readable = bytes | bytearray | memoryview

__all__ = ["CAN"]

_EINVAL = 22
_PATIENCE = 10  # ms that opening waits for an idle bus


class CAN(BxCan):
    """bxCAN (fakes/bxcan.py) under the driver of MicroPython's STM32 port.

    Facts of `extmod/machine_can.c` and `ports/stm32/machine_can.c` that it follows (read in the
    development branch that the stubs describe, as 1.25.0 has no such class):
    - The handler is called for frames that are there, never for a full FIFO or an overflow: these
      are flags that the next `recv` returns, and `get_counters()` counts overflows.
    - `recv` looks into FIFO 0, then into FIFO 1, returns None if both are empty, and turns all
      interrupts of the FIFO that it read on again. It resizes the caller's memoryview in place.
    - Filters are 32 bits with the frame format, and go to FIFO 0 and FIFO 1 in turn. Remote frames
      pass them.
    - `send` returns None where three frames wait, or one of the same identifier: it does not let
      frames of one identifier overtake each other. Off the bus it takes frames like elsewhere.
    - `restart()` waits in a loop for an idle bus, and drops what waits. Nothing else ends bus-off.
    - `init` and `deinit` forget filters (`init` by the reset of the peripheral) and interrupts.
    - `init` waits 10 ms for 11 recessive bits; on a bus that is held down it raises an OSError
      that has a text and no number.

    As in fakes/pyb.py, `recv` puts another memoryview over the same buffer into the list.

    Not modelled: `IRQ_TX`, `IRQ_STATE`, soft handlers, `cancel_send`, timings, extended frames to
    send.
    """

    MODE_NORMAL: Final = 0
    MODE_LOOPBACK: Final = 2
    MODE_SILENT: Final = 3
    MODE_SILENT_LOOPBACK: Final = 4
    STATE_STOPPED: Final = 0
    STATE_ACTIVE: Final = 1
    STATE_WARNING: Final = 2
    STATE_PASSIVE: Final = 3
    STATE_BUS_OFF: Final = 4
    FLAG_RTR: Final = 1
    FLAG_EXT_ID: Final = 2
    FLAG_UNORDERED: Final = 16
    RECV_ERR_FULL: Final = 1
    RECV_ERR_OVERRUN: Final = 2
    IRQ_RX: Final = 2
    FILTERS_MAX: Final = 14
    TX_QUEUE_LEN: Final = 3

    def __init__(self, id: int, bitrate: int, mode: int = MODE_NORMAL) -> None:
        if id not in (1, 2):
            raise ValueError(f"CAN({id}) doesn't exist")
        super().__init__()
        self.init(bitrate, mode)

    def init(
        self,
        bitrate: int,
        mode: int = MODE_NORMAL,
        sample_point: int = 75,
        sjw: int = 1,
        tseg1: int | None = None,
        tseg2: int | None = None,
    ) -> None:
        if not (10_000 <= bitrate <= 1_000_000 and 0 < sample_point < 100 and 1 <= sjw <= 4):
            raise ValueError("unable to calculate BRP for baudrate")
        self._mode = mode
        self._filters: list[tuple[int, int, int]] = []
        self._handler: Callable[[CAN], object] | None = None
        self._errors = 0
        self._overruns = 0
        self._state = self.STATE_STOPPED
        if self.sim_stuck and mode == self.MODE_NORMAL:
            machine.sim_clock().sleep_ms(_PATIENCE)
            raise OSError("CAN init failed")
        self._power_up()
        self._state = self.STATE_ACTIVE

    def deinit(self) -> None:
        self._handler = None
        self._state = self.STATE_STOPPED

    def restart(self) -> None:
        self._check()
        self._wait_for_idle()
        self._mailboxes = [None] * MAILBOXES
        self._entered = [0] * 5
        self._overruns = 0

    def state(self) -> int:
        return self._state

    def get_counters(self, list: "list[int | None] | None" = None, /) -> "list[Any]":
        if self._state == self.STATE_STOPPED:
            raise OSError(_EINVAL)
        values: Any = [0] * 8 if list is None else list
        sending = sum(frame is not None for frame in self._mailboxes)
        waiting = sum(len(fifo.frames) for fifo in self._fifos)
        values[:] = [0, 0, *self._entered[2:], sending, waiting, self._overruns]
        return values

    def set_filters(self, filters: "Iterable[Any] | None") -> None:
        self._check()
        given = [(0, 0, 0), (0, 0, self.FLAG_EXT_ID)] if filters is None else list(filters)
        if len(given) > self.FILTERS_MAX:
            raise ValueError("too many filters")
        for ident, mask, flags in given:
            limit = 1 << 29 if flags & self.FLAG_EXT_ID else 1 << 11
            if not (0 <= ident < limit and 0 <= mask < limit):
                raise ValueError("invalid id")
            if flags & ~self.FLAG_EXT_ID:
                raise ValueError("flags")
        self._filters = [tuple(item) for item in given]

    def irq(
        self,
        handler: "Callable[[CAN], object] | None" = None,
        trigger: int = 0,
        hard: bool = False,
    ) -> None:
        self._check()
        if trigger & ~self.IRQ_RX or not hard:
            raise Misuse("only hard handlers of IRQ_RX are modelled")
        self._handler = handler
        for fifo in self._fifos:
            fifo.interrupts(bool(trigger), bool(trigger))
        self._serve()

    def recv(self, arg: "list[Any] | None" = None) -> "list[Any] | None":
        self._check()
        if arg is not None and not isinstance(arg[1], memoryview):
            raise TypeError
        if arg is not None and len(arg[1].obj) < 8:
            raise Misuse("the buffer holds fewer than 8 bytes: the device writes beyond it")
        fifo = next((fifo for fifo in self._fifos if fifo.frames), None)
        if fifo is None:
            return None
        frame, _ = fifo.frames.pop(0)
        fifo.interrupts(self._handler is not None, self._handler is not None)
        result: list[Any] = [0, memoryview(bytearray(8)), 0, 0] if arg is None else arg
        whole = memoryview(result[1].obj)
        whole[: len(frame.data)] = bytes(len(frame.data)) if frame.rtr else frame.data
        flags = self.FLAG_RTR * frame.rtr | self.FLAG_EXT_ID * frame.extframe
        result[:4] = [frame.id, whole[: len(frame.data)], flags, self._errors]
        self._errors = 0
        return result

    def send(self, id: int, data: "Readable", flags: int = 0) -> int | None:
        self._check()
        if len(data) > 8:
            raise OverflowError("data too long")
        if flags & ~self.FLAG_UNORDERED:
            raise Misuse("only data frames with 11-bit identifiers are modelled")
        if not 0 <= id < 1 << 11:
            raise ValueError("invalid id")
        waiting = [frame.id for frame in self._mailboxes if frame is not None]
        if len(waiting) == MAILBOXES or (id in waiting and not flags):
            return None
        place = self._mailboxes.index(None)
        self._mailboxes[place] = Frame(id, bytes(data))
        return place

    def _looped(self) -> bool:
        return self._mode in (self.MODE_LOOPBACK, self.MODE_SILENT_LOOPBACK)

    def _silent(self) -> bool:
        return self._mode in (self.MODE_SILENT, self.MODE_SILENT_LOOPBACK)

    def _match(self, frame: Frame) -> tuple[int, int] | None:
        for place, (ident, mask, flags) in enumerate(self._filters):
            extended = bool(flags & self.FLAG_EXT_ID)
            if extended == frame.extframe and (frame.id ^ ident) & mask == 0:
                return place % 2, place
        return None

    def _interrupt(self, number: int, fifo: Fifo) -> None:
        pending = fifo.on_pending and bool(fifo.frames)
        if fifo.full:
            fifo.on_full = fifo.full = False
            if not fifo.overrun:
                self._errors |= self.RECV_ERR_FULL
        if fifo.overrun:
            fifo.on_overrun = fifo.overrun = False
            self._errors |= self.RECV_ERR_OVERRUN
            self._overruns += 1
        if pending:
            fifo.on_pending = False
            assert self._handler is not None
            self._handler(self)
