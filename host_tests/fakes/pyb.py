# SPDX-License-Identifier: MIT
"""The part of the STM32 port's `pyb` that the package and its boards use."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from fakes import Misuse, machine
from fakes.canbus import Frame
from fakes.sdcard import SDCard

if TYPE_CHECKING:
    Readable = bytes | bytearray | memoryview

__all__ = ["CAN", "SDCard"]

_EBUSY = 16
_ETIMEDOUT = 110
_MAILBOXES = 3
_FIFO_DEPTH = 3


class _Fifo:
    """Three frames and three interrupts, each of them off from when it fires until the next
    `recv` (pending: until a `recv` that leaves the FIFO empty)."""

    def __init__(self) -> None:
        self.frames: list[tuple[Frame, int]] = []  # with the filter match index
        self.callback: Callable[[CAN, int], None] | None = None
        self.armed = {0: True, 1: True, 2: True}
        self.lost = 0


class CAN:
    """bxCAN: two receive FIFOs of three frames, three transmit mailboxes, filter banks.

    A frame that comes to a full FIFO replaces the newest one in it, as the port configures the
    controller. Mailboxes leave in the order of their ids, not in that of the calls. Mask filters
    do not look at the frame format: extended frames pass that begin with the same bits.
    `recv` into a list cannot shorten the caller's memoryview as the device does: it puts another
    one over the same buffer into element 4, so code must take that element anew each time.

    Not modelled: bit timing, error counters, 32-bit filters, CAN FD, `send` with a timeout.
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
        self.sim_state = self.STOPPED
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
        self._fifos = (_Fifo(), _Fifo())
        self._mailboxes: list[Frame | None] = [None] * _MAILBOXES
        self.sim_state = self.ERROR_ACTIVE

    def deinit(self) -> None:
        self.sim_state = self.STOPPED

    def restart(self) -> None:
        if self.sim_state == self.STOPPED:
            raise ValueError
        self.sim_state = self.ERROR_ACTIVE

    def state(self) -> int:
        return self.sim_state

    def info(self, list: list[int] | None = None, /) -> list[int]:
        self._check()
        values = [0] * 8 if list is None else list
        if len(values) < 8:
            raise ValueError
        values[:8] = [0, 0, 0, 0, 0, 0, 0, 0]
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
        queue = self._fifos[fifo]
        first = queue.callback is None
        queue.callback = fun
        if first and fun is not None:
            queue.armed = {0: not queue.frames, 1: True, 2: True}
            if queue.frames:
                fun(self, 0)

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
        queue.armed[1] = queue.armed[2] = True
        queue.armed[0] = queue.armed[0] or not queue.frames
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

    def sim_transmit(self) -> Frame | None:
        """The frame that wins the bus next leaves its mailbox; None if there is none to send."""
        waiting = [frame for frame in self._mailboxes if frame is not None]
        if not waiting or self.sim_state in (self.STOPPED, self.BUS_OFF):
            return None
        frame = min(waiting, key=lambda frame: frame.id << (0 if frame.extframe else 18))
        self._mailboxes[self._mailboxes.index(frame)] = None
        if self._mode in (self.LOOPBACK, self.SILENT_LOOPBACK):
            self.sim_receive(frame)
        return None if self._mode in (self.SILENT, self.SILENT_LOOPBACK) else frame

    def sim_receive(self, frame: Frame) -> None:
        """A frame on the bus: through the filters into a FIFO, then the callback."""
        if self.sim_state in (self.STOPPED, self.BUS_OFF):
            return
        found = self._match(frame)
        if found is None:
            return
        fifo = self._fifos[found[0]]
        if len(fifo.frames) == _FIFO_DEPTH:
            fifo.frames[-1] = (frame, found[1])
            fifo.lost += 1
            reason = 2
        else:
            fifo.frames.append((frame, found[1]))
            reason = 1 if len(fifo.frames) == _FIFO_DEPTH else 0
        if fifo.callback is not None and fifo.armed[reason]:
            fifo.armed[reason] = False
            fifo.callback(self, reason)

    def sim_lost(self, fifo: int) -> int:
        """Frames that were overwritten in this FIFO before anybody read them."""
        return self._fifos[fifo].lost

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

    def _check(self) -> None:
        if self.sim_state == self.STOPPED:
            raise Misuse("the controller is used before init() or after deinit()")
