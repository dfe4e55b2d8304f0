# SPDX-License-Identifier: MIT
"""The part of the STM32 port's `pyb` that the package and its boards use."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from fakes import Misuse, machine
from fakes.bxcan import BxCan, Fifo
from fakes.canbus import Frame
from fakes.sdcard import SDCard

if TYPE_CHECKING:
    Readable = bytes | bytearray | memoryview

__all__ = ["CAN", "SDCard", "Switch"]

_EBUSY = 16
_ETIMEDOUT = 110


class CAN(BxCan):
    """bxCAN (fakes/bxcan.py) under the driver of MicroPython's STM32 port.

    Facts of `ports/stm32/pyb_can.c` and `can.c` (1.25.0) that it follows:
    - The receive callback runs inside the interrupt, with the heap and the scheduler locked, and
      its second argument is why: 0 a frame is there, 1 the FIFO has become full, 2 it overflowed.
      A FIFO that is full and has overflowed calls once, with 2 (`can_rx_irq_handler`).
    - Each of the three interrupts turns itself off when it fires. `recv` turns full and overflow
      on again, and "a frame is there" only if it has left the FIFO empty (`pyb_can_recv`): a
      callback that does not empty the FIFO is not called for its next frame.
    - The interrupts of both FIFOs have one priority, IRQ_PRI_CAN; those of UART, SD and DMA come
      before it (`irq.h`).
    - `rxcallback` over another callback only exchanges it. After `deinit` and `init` interrupts
      are off, so the callback must be set to None and set again (`pyb_can_rxcallback`).
    - An overflow is told by the reason alone: no counter, and `recv` does not know of it.
    - `recv(fifo, list)` needs no heap: it resizes the caller's memoryview in place. Its timeout,
      5 s if not given, is waited for inside an interrupt too.
    - `setfilter` with MASK16 does not look at the frame format: extended frames pass that begin
      with the same bits. Remote frames pass unless `rtr` says otherwise.
    - `send` takes the lowest empty mailbox, and its frames leave by identifier (TXFP is off). With
      no timeout it returns as soon as a mailbox has the frame; three that are full are EBUSY.
    - Bus-off: with `auto_restart` the controller comes back by itself, after 128 times 11
      recessive bits (`sim_idle`). `restart()` waits in a loop for an idle bus. Error states never
      call back; `state()` and `info()` tell them.

    A list cannot have its memoryview shortened here as on the device: `recv` puts another one over
    the same buffer into element 4, so code must take that element anew each time. An exception in
    a callback, which the device prints before it drops the callback, comes out of the test.

    Not modelled: 32-bit filters, CAN FD, `send` with a timeout.
    """

    NORMAL: Final = 0
    LOOPBACK: Final = 67108864
    SILENT: Final = 134217728
    SILENT_LOOPBACK: Final = 201326592
    MASK16: Final = 0
    LIST16: Final = 1
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
        self._callbacks: list[Callable[[CAN, int], None] | None] = [None, None]
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
        self._wait_for_idle()

    def state(self) -> int:
        return self.sim_state

    def info(self, list: list[int] | None = None, /) -> list[int]:
        self._check()
        values = [0] * 8 if list is None else list
        if len(values) < 8:
            raise ValueError
        values[:8] = [0, 0, *self._entered[2:], 0, 0, 0]
        values[5] = sum(frame is not None for frame in self._mailboxes)
        values[6] = len(self._fifos[0].frames)
        values[7] = len(self._fifos[1].frames)
        return values

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

    def clearfilter(self, bank: int, /, *, extframe: bool = False) -> None:
        self._check()
        self._filters.pop(bank, None)

    def rxcallback(self, fifo: int, fun: "Callable[[CAN, int], None] | None", /) -> None:
        before, self._callbacks[fifo] = self._callbacks[fifo], fun
        if fun is None:
            self._fifos[fifo].interrupts(False, False)
        elif before is None:
            self._fifos[fifo].interrupts(True, True)
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
        if list is not None and len(list[4].obj) < 8:
            raise Misuse("the buffer holds fewer than 8 bytes: the device writes beyond it")
        queue = self._fifos[fifo]
        if not queue.frames:
            machine.sim_clock().sleep_ms(timeout)
        if not queue.frames:
            raise OSError(_ETIMEDOUT, "no frame came")
        frame, match = queue.frames.pop(0)
        if self._callbacks[fifo] is not None:
            queue.interrupts(True, queue.on_pending or not queue.frames)
        head = (frame.id, frame.extframe, frame.rtr, match)
        if list is None:
            return (*head, frame.data)
        list[:4] = head
        whole = memoryview(list[4].obj)
        whole[: len(frame.data)] = frame.data
        list[4] = whole[: len(frame.data)]
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
            raise OSError(_EBUSY, "no mailbox is free")
        self._mailboxes[self._mailboxes.index(None)] = Frame(id, payload, extframe, rtr)

    def sim_idle(self) -> None:
        """The bus was idle for as long as a controller that is off it has to wait."""
        if self.sim_state == self.BUS_OFF and self._auto_restart:
            self.sim_state = self.ERROR_ACTIVE

    def _looped(self) -> bool:
        return self._mode in (self.LOOPBACK, self.SILENT_LOOPBACK)

    def _silent(self) -> bool:
        return self._mode in (self.SILENT, self.SILENT_LOOPBACK)

    def _interrupt(self, number: int, fifo: Fifo) -> None:
        full, overrun = fifo.full, fifo.overrun
        callback = self._callbacks[number]
        assert callback is not None
        if full:
            fifo.on_full = fifo.full = False
            if not overrun:
                callback(self, 1)
        if overrun:
            fifo.on_overrun = fifo.overrun = False
            callback(self, 2)
        if not (full or overrun):
            fifo.on_pending = False
            callback(self, 0)

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


class Switch:
    """The user button. Not modelled: callbacks."""

    sim_pressed = False

    def __init__(self) -> None:
        pass

    def __call__(self) -> bool:
        return self.value()

    def value(self) -> bool:
        return self.sim_pressed
