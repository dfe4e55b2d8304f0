# SPDX-License-Identifier: MIT
"""`pyb.CAN`, over bxCAN and over FDCAN."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from fakes import Misuse, machine
from fakes.bxcan import BxCan
from fakes.can_controller import Controller
from fakes.canbus import FD_BYTES, Frame, written
from fakes.fdcan import FULL, LOST, NEW
from fakes.fdcan import FdCan as FdController

if TYPE_CHECKING:
    Readable = bytes | bytearray | memoryview

_EBUSY = 16
_ETIMEDOUT = 110


class _Driver(Controller):
    """The driver of MicroPython's STM32 port over either controller.

    Facts of `ports/stm32/pyb_can.c`, `can.c` and `fdcan.c` (1.25.0) that it follows:
    - The receive callback runs inside the interrupt, with the heap and the scheduler locked, and
      its second argument is why: 0 a frame is there, 1 the FIFO has become full, 2 it overflowed.
    - An interrupt that fires is turned off before the callback (can.c:345-363, fdcan.c:377-379).
      Only `recv` turns it on again (pyb_can.c:656): a callback that finds its FIFO empty leaves it
      off.
    - The interrupts of both FIFOs have one priority, IRQ_PRI_CAN; those of UART, SD and DMA come
      before it (`irq.h`).
    - `rxcallback` over another callback only exchanges it. After `deinit` and `init` interrupts
      are off, so the callback must be set to None and set again (`pyb_can_rxcallback`).
    - An overflow is told by the reason alone: no counter, and `recv` does not know of it.
    - `recv(fifo, list)` needs no heap: it resizes the caller's memoryview in place, and copies as
      many bytes as the DLC says, whatever the memoryview holds (pyb_can.c:687). Its timeout, 5 s
      if not given, is waited for inside an interrupt too.
    - `send` with no timeout returns as soon as the controller has the frame, else it raises.
    - Error states never call back; `state()` and `info()` tell them. `init` begins the counts of
      `info()` anew.

    A list cannot have its memoryview shortened here as on the device: `recv` puts another one over
    the same buffer into element 4, so code must take that element anew each time. An exception in
    a callback, which the device prints before it drops the callback, comes out of the test.

    Not modelled: CAN FD, `send` with a timeout.
    """

    NORMAL: Final = 0
    STOPPED: Final = 0
    ERROR_ACTIVE: Final = 1
    ERROR_WARNING: Final = 2
    ERROR_PASSIVE: Final = 3
    BUS_OFF: Final = 4

    def __init__(
        self,
        bus: int | str,
        mode: int,
        /,
        extframe: bool = False,
        prescaler: int = 100,
        *,
        sjw: int = 1,
        bs1: int = 6,
        bs2: int = 8,
        auto_restart: bool = False,
    ) -> None:
        if bus not in (1, 2, "YA", "YB"):
            raise ValueError(f"CAN({bus}) doesn't exist")
        super().__init__()
        self._callbacks: list[Callable[[Any, int], None] | None] = [None, None]
        self.init(mode, extframe, prescaler, sjw=sjw, bs1=bs1, bs2=bs2, auto_restart=auto_restart)

    def init(
        self,
        mode: int,
        /,
        extframe: bool = False,
        prescaler: int = 100,
        *,
        sjw: int = 1,
        bs1: int = 6,
        bs2: int = 8,
        auto_restart: bool = False,
        baudrate: int = 0,
        sample_point: int = 75,
        num_filter_banks: int = 14,
        brs_prescaler: int = 1,
        brs_sjw: int = 1,
        brs_bs1: int = 8,
        brs_bs2: int = 3,
        brs_baudrate: int = 0,
        brs_sample_point: int = 0,
    ) -> None:
        if not (1 <= prescaler <= 1024 and 1 <= sjw <= 4 and 1 <= bs1 <= 16 and 1 <= bs2 <= 8):
            raise Misuse("bit timing is out of range: the device takes other values in silence")
        self._mode = mode
        self._auto_restart = auto_restart
        self._banks = num_filter_banks
        self._filters: dict[int, tuple[int, int, list[tuple[int, int]]]] = {}
        self._power_up()
        self._state = self.ERROR_ACTIVE

    def deinit(self) -> None:
        self.sim_state = self.STOPPED

    def restart(self) -> None:
        if self.sim_state == self.STOPPED:
            raise ValueError
        self._restart()

    def state(self) -> int:
        return self.sim_state

    def info(self, list: list[int] | None = None, /) -> list[int]:
        self._check()
        values = [0] * 8 if list is None else list
        if len(values) < 8:
            raise ValueError
        values[:8] = [0, 0, *self._entered[2:], self._waiting(), 0, 0]
        values[6] = len(self._fifos[0].frames)
        values[7] = len(self._fifos[1].frames)
        return values

    def clearfilter(self, bank: int, /, *, extframe: bool = False) -> None:
        self._check()
        self._filters.pop(bank, None)

    def rxcallback(self, fifo: int, fun: "Callable[[Any, int], None] | None", /) -> None:
        before, self._callbacks[fifo] = self._callbacks[fifo], fun
        if fun is None:
            self._turn_off(fifo)
        elif before is None:
            self._turn_on(fifo, empty=True)
        self._serve()

    def any(self, fifo: int, /) -> bool:
        self._check()
        return bool(self._fifos[fifo].frames)

    def recv(
        self, fifo: int, list: "list[Any] | None" = None, /, *, timeout: int = 5000
    ) -> "Sequence[Any]":
        self._check()
        if list is not None and (len(list) < 5 or not isinstance(list[4], memoryview)):
            raise TypeError("a list of five with a memoryview as the last is needed")
        queue = self._fifos[fifo]
        if not queue.frames:
            machine.sim_clock().sleep_ms(timeout)
        if not queue.frames:
            raise OSError(_ETIMEDOUT, "no frame came")
        frame, match = queue.take()
        if self._callbacks[fifo] is not None:
            self._turn_on(fifo, empty=not queue.frames)
        data = frame.data.ljust(self._bytes(frame), b"\0")
        head = (frame.id, frame.extframe, frame.rtr, match)
        if list is None:
            return (*head, data)
        list[:4] = head
        list[4] = written(list[4], data)
        return list

    def send(
        self,
        data: "int | Readable",
        id: int,
        /,
        *,
        timeout: int = 0,
        rtr: bool = False,
        extframe: bool = False,
        fdf: bool = False,
        brs: bool = False,
    ) -> None:
        self._check()
        payload = bytes([data]) if isinstance(data, int) else bytes(data)
        if len(payload) > 8:
            raise ValueError("CAN data field too long")
        if timeout or fdf or brs:
            raise Misuse("a send that waits blocks the slice; CAN FD is not modelled")
        if not 0 <= id < (1 << 29 if extframe else 1 << 11):
            raise Misuse(f"id {id:#x} has too many bits: the device cuts it")
        if None not in self._mailboxes:
            raise OSError(self._full, "no place for it")
        self._queue(Frame(id, payload, extframe, rtr))

    def _call(self, number: int, reason: int) -> None:
        callback = self._callbacks[number]
        if callback is not None:
            callback(self, reason)

    def _looped(self) -> bool:
        return self._mode in (self.LOOPBACK, self.SILENT_LOOPBACK)

    def _silent(self) -> bool:
        return self._mode in (self.SILENT, self.SILENT_LOOPBACK)

    # A subclass for each controller defines these.

    LOOPBACK: int
    SILENT: int
    SILENT_LOOPBACK: int
    _full: int  # errno of a send that finds no place

    def _restart(self) -> None:
        raise NotImplementedError

    def _waiting(self) -> int:
        """Frames that wait to be sent, as info()[5] tells it."""
        raise NotImplementedError

    def _bytes(self, frame: Frame) -> int:
        """How many bytes the driver copies."""
        raise NotImplementedError

    def _queue(self, frame: Frame) -> None:
        raise NotImplementedError

    def _turn_on(self, fifo: int, empty: bool) -> None:
        """`can_enable_rx_interrupts`."""
        raise NotImplementedError

    def _turn_off(self, fifo: int) -> None:
        """`can_disable_rx_interrupts`."""
        raise NotImplementedError


class CAN(_Driver, BxCan):
    """`pyb.CAN` of an STM32F4. Facts of `can.c` (1.25.0):

    - A FIFO that is full and has overflowed calls once, with 2 (can.c:345-356).
    - `recv` turns full and overflow on again, and "a frame is there" only if it has left the FIFO
      empty (can.c:149-153).
    - It copies up to 15 bytes, for a DLC above 8 (can.c:198, pyb_can.c:687).
    - `setfilter` with MASK16 does not look at the frame format: extended frames pass that begin
      with the same bits. Remote frames pass unless `rtr` says otherwise.
    - `send` takes the lowest empty mailbox, and its frames leave by identifier (TXFP is off);
      three that are full are EBUSY.
    - With `auto_restart` the controller comes back from bus-off by itself, after 128 times 11
      recessive bits (`sim_idle`). `restart()` waits in a loop for an idle bus.

    Not modelled: 32-bit filters.
    """

    LOOPBACK = 67108864
    SILENT = 134217728
    SILENT_LOOPBACK = 201326592
    MASK16: Final = 0
    LIST16: Final = 1
    _full = _EBUSY

    def setfilter(
        self,
        bank: int,
        mode: int,
        fifo: int,
        params: Sequence[int],
        /,
        *,
        rtr: Sequence[bool] = (),
    ) -> None:
        self._check()
        if mode not in (self.MASK16, self.LIST16) or len(params) != 4 or fifo not in (0, 1):
            raise ValueError("CAN filter parameter error")
        if not 0 <= bank < self._banks:
            raise Misuse(f"filter bank {bank} belongs to the other controller")
        if any(not 0 <= value <= 0x7FF for value in params):
            raise Misuse("an id or mask has more than 11 bits: the device cuts it")
        wanted = [int(flag) << 4 for flag in rtr]
        if mode == self.LIST16:
            wanted = wanted or [0] * 4
            pairs = [(value << 5 | wanted[i], 0xFFFF) for i, value in enumerate(params)]
        else:
            # Without `rtr` the mask leaves that bit out: both kinds of frames pass.
            care = 0x10 if wanted else 0
            wanted = wanted or [0] * 2
            pairs = [
                (params[2 * i] << 5 | wanted[i], params[2 * i + 1] << 5 | care) for i in (0, 1)
            ]
        self._filters[bank] = (mode, fifo, pairs)

    def sim_idle(self) -> None:
        """The bus was idle for as long as a controller that is off it has to wait."""
        if self.sim_state == self.BUS_OFF and self._auto_restart:
            self.sim_state = self.ERROR_ACTIVE

    def _restart(self) -> None:
        self._wait_for_idle()

    def _waiting(self) -> int:
        return sum(frame is not None for frame in self._mailboxes)

    def _bytes(self, frame: Frame) -> int:
        return frame.length()

    def _queue(self, frame: Frame) -> None:
        self._mailboxes[self._mailboxes.index(None)] = frame

    def _turn_on(self, fifo: int, empty: bool) -> None:
        queue = self._fifos[fifo]
        queue.interrupts(True, queue.on_pending or empty)

    def _turn_off(self, fifo: int) -> None:
        self._fifos[fifo].interrupts(False, False)

    def _interrupt(self, number: int) -> None:
        fifo = self._fifos[number]
        full, overrun = fifo.full, fifo.overrun
        if full:
            fifo.on_full = fifo.full = False
            if not overrun:
                self._call(number, 1)
        if overrun:
            fifo.on_overrun = fifo.overrun = False
            self._call(number, 2)
        if not (full or overrun):
            fifo.on_pending = False
            self._call(number, 0)

    def _match(self, frame: Frame) -> tuple[int, int] | None:
        """FIFO and filter match index of the first filter that takes the frame, lists first."""
        bits = frame.bits16()
        index = [0, 0]
        found: dict[int, tuple[int, int]] = {}
        for bank in sorted(self._filters):
            mode, fifo, pairs = self._filters[bank]
            for value, mask in pairs:
                if (bits ^ value) & mask == 0:
                    found.setdefault(mode, (fifo, index[fifo]))
                index[fifo] += 1
        return found.get(self.LIST16) or found.get(self.MASK16)


class FdCan(_Driver, FdController):
    """`pyb.CAN` of an STM32G4 or STM32H7. Facts of `fdcan.c` (1.25.0):

    - An interrupt of a FIFO calls once for each of its causes, in the order 0, 1, 2
      (fdcan.c:381-391).
    - `recv` turns all three on again if it has left the FIFO empty, else "a frame is there" alone
      (fdcan.c:267-273).
    - It copies as many bytes as a frame of CAN FD with that DLC has, up to 64, also for a classic
      frame (fdcan.c:346-353, pyb_can.c:687).
    - `setfilter` takes one pair of identifier and mask. Remote frames pass; extended ones do not.
    - `send` into a full FIFO is ETIMEDOUT, and info()[5] is 0 always: it is the level of the FIFO
      of transmit events, which is not in use (pyb_can.c:464).
    - `auto_restart` is ignored (fdcan.c:72). `restart()` does not wait for the bus
      (pyb_can.c:385-394).
    """

    LOOPBACK = 3
    SILENT = 2
    SILENT_LOOPBACK = 4
    MASK: Final = 2
    _full = _ETIMEDOUT

    def setfilter(
        self, bank: int, mode: int, fifo: int, params: Sequence[int], /, *, extframe: bool = False
    ) -> None:
        self._check()
        if mode != self.MASK or len(params) != 2 or fifo not in (0, 1) or not 0 <= bank < 28:
            raise ValueError("CAN filter parameter error")
        if extframe or any(not 0 <= value <= 0x7FF for value in params):
            raise Misuse("filters of extended frames are not modelled")
        self._filters[bank] = (mode, fifo, [(params[0], params[1])])

    def _restart(self) -> None:
        self._clear_init()

    def _waiting(self) -> int:
        return 0

    def _bytes(self, frame: Frame) -> int:
        return FD_BYTES[frame.length()]

    def _queue(self, frame: Frame) -> None:
        place = self._mailboxes.index(None)
        self._mailboxes[place] = frame
        self._order.append(place)

    def _turn_on(self, fifo: int, empty: bool) -> None:
        self._fifos[fifo].enabled |= NEW | FULL | LOST if empty else NEW

    def _turn_off(self, fifo: int) -> None:
        self._fifos[fifo].enabled = 0

    def _interrupt(self, number: int) -> None:
        due = self._served(number)
        for reason, cause in enumerate((NEW, FULL, LOST)):
            if due & cause:
                self._call(number, reason)

    def _match(self, frame: Frame) -> tuple[int, int] | None:
        for bank in sorted(self._filters):
            _, fifo, ((value, mask),) = self._filters[bank]
            if not frame.extframe and (frame.id ^ value) & mask == 0:
                return fifo, bank
        return None
