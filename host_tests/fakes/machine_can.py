# SPDX-License-Identifier: MIT
"""`machine.CAN`, the CAN class that newer MicroPython has; 1.25 has none."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from fakes import Misuse, machine
from fakes.bxcan import BxCan
from fakes.can_controller import PLACES, Controller
from fakes.canbus import FD_BYTES, Frame, written
from fakes.fdcan import FULL, LOST, NEW
from fakes.fdcan import FdCan as FdController

if TYPE_CHECKING:
    Readable = bytes | bytearray | memoryview

__all__ = ["CAN", "FdCan"]

_EINVAL = 22
_PATIENCE = 10  # ms that opening waits for an idle bus


class _Driver(Controller):
    """The driver of MicroPython's STM32 port over either controller.

    Facts of `extmod/machine_can.c` and `ports/stm32/machine_can.c` that it follows (read in master
    1c3c2011 of 2026-08, as 1.25.0 has no such class):
    - The handler is called for frames that are there, never for a full FIFO or an overflow: these
      are flags that the next `recv` returns, and `get_counters()` counts overflows
      (machine_can.c:434-446).
    - `recv` looks into FIFO 0, then into FIFO 1, returns None if both are empty, and turns all
      interrupts of the FIFO that it read on again (machine_can.c:204-233). It resizes the caller's
      memoryview in place, and copies as many bytes as the DLC says, whatever the memoryview holds
      (extmod/machine_can.c:502-512).
    - `irq` turns all interrupts of both FIFOs on.
    - Filters go to FIFO 0 and FIFO 1 in turn. Remote frames pass them.
    - `send` returns None where three frames wait, or one of the same identifier: it does not let
      frames of one identifier overtake each other. Off the bus it takes frames like elsewhere.
    - `init` and `deinit` forget filters (`init` by the reset of the peripheral) and interrupts.

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
        self._in_interrupt = False
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
        self._handler: Callable[[Any], object] | None = None
        self._errors = 0
        self._overruns = 0
        self._state = self.STATE_STOPPED
        self._start()
        self._power_up()
        self._state = self.STATE_ACTIVE

    def deinit(self) -> None:
        self._handler = None
        self._state = self.STATE_STOPPED

    def restart(self) -> None:
        self._check()
        self._restart()
        self._mailboxes = [None] * PLACES
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
        handler: "Callable[[Any], object] | None" = None,
        trigger: int = 0,
        hard: bool = False,
    ) -> None:
        self._check()
        if trigger & ~self.IRQ_RX or not hard:
            raise Misuse("only hard handlers of IRQ_RX are modelled")
        self._handler = handler
        for fifo in (0, 1):
            self._turn(fifo, bool(trigger))
        self._serve()

    def recv(self, arg: "list[Any] | None" = None) -> "list[Any] | None":
        self._check()
        if arg is not None and not isinstance(arg[1], memoryview):
            raise TypeError
        number = next((number for number in (0, 1) if self._fifos[number].frames), None)
        if number is None:
            return None
        frame, _ = self._fifos[number].take()
        self._turn(number, self._handler is not None)
        result: list[Any] = [0, memoryview(bytearray(64)), 0, 0] if arg is None else arg
        size = self._bytes(frame)
        data = bytes(size) if frame.rtr else frame.data.ljust(size, b"\0")
        flags = self.FLAG_RTR * frame.rtr | self.FLAG_EXT_ID * frame.extframe
        result[:4] = [frame.id, written(result[1], data), flags, self._errors]
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
        if len(waiting) == PLACES or (id in waiting and not flags):
            return None
        place = self._mailboxes.index(None)
        self._mailboxes[place] = Frame(id, bytes(data))
        self._queued(place)
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

    def _told(self, pending: bool, full: bool, overrun: bool) -> None:
        """`machine_can_irq_handler`, for what an interrupt has found."""
        if full:
            self._errors |= self.RECV_ERR_FULL
        if overrun:
            self._errors |= self.RECV_ERR_OVERRUN
            self._overruns += 1
        if pending and self._handler is not None:
            self._in_interrupt = True
            try:
                self._handler(self)
            finally:
                self._in_interrupt = False

    # A subclass for each controller defines these.

    def _start(self) -> None:
        """What `init` waits for."""
        raise NotImplementedError

    def _restart(self) -> None:
        raise NotImplementedError

    def _bytes(self, frame: Frame) -> int:
        """How many bytes the driver copies."""
        raise NotImplementedError

    def _queued(self, place: int) -> None:
        raise NotImplementedError

    def _turn(self, fifo: int, on: bool) -> None:
        """All interrupts of a FIFO."""
        raise NotImplementedError


class CAN(_Driver, BxCan):
    """`machine.CAN` of an STM32F4. Facts of `can.c` (master 1c3c2011):

    - An interrupt for a full FIFO or an overflow calls the handler too, if a frame is there and
      its interrupt is on (can.c:548, :563): such a callback does not find the FIFO empty.
    - `init` waits 10 ms for 11 recessive bits; on a bus that is held down it raises an OSError
      that has a text and no number. `restart()` waits in a loop for an idle bus, and drops what
      waits. Nothing else ends bus-off.
    - It copies up to 15 bytes, for a DLC above 8.
    - `recv` waits for an interrupt where it finds a FIFO empty, though its timeout is 0
      (can.c:296). A handler that does so holds up all interrupts of its priority and the program:
      Misuse here.
    """

    def recv(self, arg: "list[Any] | None" = None) -> "list[Any] | None":
        if self._in_interrupt and not self._fifos[0].frames:
            raise Misuse("recv waits in an interrupt, as FIFO 0 is empty")
        return super().recv(arg)

    def _start(self) -> None:
        if self.sim_stuck and self._mode == self.MODE_NORMAL:
            machine.sim_clock().sleep_ms(_PATIENCE)
            raise OSError("CAN init failed")

    def _restart(self) -> None:
        self._wait_for_idle()

    def _bytes(self, frame: Frame) -> int:
        return frame.length()

    def _queued(self, place: int) -> None:
        """The mailboxes need no order."""

    def _turn(self, fifo: int, on: bool) -> None:
        self._fifos[fifo].interrupts(on, on)

    def _interrupt(self, number: int) -> None:
        fifo = self._fifos[number]
        full, overrun = fifo.full, fifo.overrun
        pending = fifo.on_pending and bool(fifo.frames)
        if full:
            fifo.on_full = fifo.full = False
        if overrun:
            fifo.on_overrun = fifo.overrun = False
        if pending:
            fifo.on_pending = False
        self._told(pending, full and not overrun, overrun)


class FdCan(_Driver, FdController):
    """`machine.CAN` of an STM32G4 or STM32H7. Facts of `fdcan.c` (master 1c3c2011):

    - The handler is called for a new frame alone; its interrupt is off by then.
    - `init` does not wait for the bus, and neither does `restart()`.
    - It copies as many bytes as a frame of CAN FD with that DLC has, up to 64.
    """

    def _start(self) -> None:
        """The controller waits for an idle bus by itself."""

    def _restart(self) -> None:
        self._clear_init()

    def _bytes(self, frame: Frame) -> int:
        return FD_BYTES[frame.length()]

    def _queued(self, place: int) -> None:
        self._order.append(place)

    def _turn(self, fifo: int, on: bool) -> None:
        self._fifos[fifo].enabled = NEW | FULL | LOST if on else 0

    def _interrupt(self, number: int) -> None:
        due = self._served(number)
        self._told(bool(due & NEW), bool(due & FULL), bool(due & LOST))
