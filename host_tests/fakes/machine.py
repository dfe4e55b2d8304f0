# SPDX-License-Identifier: MIT
"""The part of the STM32 port's `machine` that the package and its boards use.

One simulated board at a time: `sim_power_on()` makes it anew, with its clock and reset cause.
Not modelled: hard interrupts, pin interrupts, alternate functions, power saving.
"""

import re
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NoReturn

from fakes import Misuse, Reset
from fakes.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fakes.fram import Fram

    Readable = bytes | bytearray | memoryview
    Writable = bytearray | memoryview

SOFT_RESET: Final = 0
PWRON_RESET: Final = 1
HARD_RESET: Final = 2
WDT_RESET: Final = 3

_ENODEV = 19
_ETIMEDOUT = 110
# Stands for an argument that was left out where None is a value.
_ABSENT: Any = type("_Absent", (), {"__repr__": lambda self: "(left out)"})()
# MicroPython's scheduler queue (`py/mpconfig.h`, MICROPY_SCHEDULER_DEPTH).
_SCHEDULER_DEPTH = 4


class _Board:
    """What belongs to no single peripheral."""

    def __init__(self, clock: Clock, cause: int) -> None:
        self.clock = clock
        self.cause = cause
        self.locked = False  # soft callbacks wait, as while a long C function runs
        self.queue: list[Callable[[], None]] = []  # callbacks that wait, at most 4
        self.refused = 0  # callbacks that found the queue full and never ran
        self.interrupted = False  # Ctrl-C has come and was not raised yet
        self.holds: dict[Any, _Hold] = {}  # by the SDA pin: a device that holds it down

    def schedule(self, callback: Callable[[], None]) -> None:
        if not self.locked:
            callback()
        elif len(self.queue) < _SCHEDULER_DEPTH:
            self.queue.append(callback)
        else:
            self.refused += 1


_board = _Board(Clock(), PWRON_RESET)


class _Registers(dict[int, int]):
    """Registers, 32 bits by address. Those of a peripheral that `sim_register` names are read
    there; the others are backup registers, which outlive a reset."""

    def __init__(self) -> None:
        super().__init__()
        self.peripherals: dict[int, Callable[[], int]] = {}

    def __getitem__(self, address: int) -> int:
        read = self.peripherals.get(address)
        return super().__getitem__(address) if read is None else read()


mem32 = _Registers()


def sim_register(address: int, read: Callable[[], int]) -> None:
    """A peripheral's register, which `mem32` reads by `read()`."""
    mem32.peripherals[address] = read


def sim_power_on(clock: Clock | None = None, cause: int = PWRON_RESET) -> Clock:
    """A board that has just come up, for `cause`; earlier timers and pins no longer count."""
    global _board
    if cause == PWRON_RESET:
        mem32.clear()
    _board = _Board(Clock() if clock is None else clock, cause)
    return _board.clock


class _Hold:
    """A device in the middle of a read that holds SDA at a 0 for `clocks` more of SCL; None: for
    ever, as a short circuit. Code takes no time here, so what does not wait between two levels is
    refused: on a part it may be shorter than fast mode allows."""

    def __init__(self, scl: Any, clocks: int | None) -> None:
        self.scl = scl
        self.clocks = clocks
        self.clock_is_low = False
        self.data_is_low = False
        self.changed_us: int | None = None

    def drive(self, pin: Any, level: int, sda: Any) -> bool:
        """A pin was driven; whether that has ended the read."""
        is_low = {self.scl: self.clock_is_low, sda: self.data_is_low}
        if is_low.get(pin, not level) == bool(level):
            now, before = _board.clock.ticks_us(), self.changed_us
            if before is not None and _board.clock.ticks_diff(now, before) < 2:
                raise Misuse(f"pin {pin} changes within 2 us of the change before")
            self.changed_us = now
        if pin == self.scl:
            if level and self.clock_is_low and self.clocks:
                self.clocks -= 1
            self.clock_is_low = not level
        elif pin == sda:
            # A START and a STOP: SDA falls and rises while SCL is high and nobody else holds SDA.
            if level and self.data_is_low and self.clocks == 0 and not self.clock_is_low:
                return True
            self.data_is_low = not level
        return False


def sim_hold(scl: Any, sda: Any, clocks: int | None) -> None:
    """From now on a device holds `sda`, and every transfer on the bus times out, until `clocks`
    more of `scl` and a STOP have come (UM10204, 3.1.16)."""
    _board.holds[sda] = _Hold(scl, clocks)


def sim_interrupt() -> None:
    """Ctrl-C comes: bytecode raises it when no callback runs, a driver whenever it waits."""
    _board.interrupted = True


def sim_interrupted() -> bool:
    """Whether a Ctrl-C is still to be raised."""
    return _board.interrupted


def sim_event_poll() -> None:
    """MICROPY_EVENT_POLL_HOOK (mpconfigport.h:256-276), which drivers call while they wait: it
    raises a pending KeyboardInterrupt, in a callback too (py/scheduler.c, mp_handle_pending)."""
    if _board.interrupted:
        _board.interrupted = False
        raise KeyboardInterrupt


def sim_clock() -> Clock:
    """The clock of the board that is running."""
    return _board.clock


@contextmanager
def sim_scheduler_locked() -> "Iterator[_Board]":
    """Soft callbacks that come due inside wait for its end, four of them; more are refused."""
    board = _board
    board.locked = True
    yield board
    board.locked = False
    while board.queue:
        board.queue.pop(0)()


def reset() -> NoReturn:
    raise Reset(HARD_RESET)


def soft_reset() -> NoReturn:
    raise Reset(SOFT_RESET)


def reset_cause() -> int:
    return _board.cause


def unique_id() -> bytes:
    return b"HSX-FAKE-ID\x01"


class Pin:
    """A pin with a level; an output drives it, a test drives an input with `sim_level`. The name
    of a part's pin is "B6": only some boards have a "PB6" besides (pins.csv)."""

    IN: Final = 0
    OUT: Final = 1
    OPEN_DRAIN: Final = 17
    PULL_NONE: Final = 0
    PULL_UP: Final = 1
    PULL_DOWN: Final = 2

    def __init__(
        self,
        id: Any,
        /,
        mode: int = -1,
        pull: int = -1,
        *,
        value: Any = None,
        drive: int | None = None,
        alt: int | None = None,
    ) -> None:
        if isinstance(id, str) and re.fullmatch(r"P[A-K]\d+", id):
            raise ValueError(f"Pin({id}) doesn't exist")
        self.sim_id = id
        self._mode = -1
        self.sim_level = 0
        self.init(mode, pull, value=value, drive=drive, alt=alt)

    def init(
        self,
        mode: int = -1,
        pull: int = -1,
        *,
        value: Any = None,
        drive: int | None = None,
        alt: int | None = None,
    ) -> None:
        if drive is not None or alt is not None:
            raise Misuse("drive strength and alternate functions are not modelled")
        if mode != -1:
            self._mode = mode
        if pull == self.PULL_UP:
            self.sim_level = 1
        if value is not None:
            self.value(value)

    def value(self, x: Any = _ABSENT, /) -> int | None:
        if x is _ABSENT:
            if self._mode == -1:
                raise Misuse(f"pin {self.sim_id} is read before it has a mode")
            hold = _board.holds.get(self.sim_id)
            return 0 if hold is not None and hold.clocks != 0 else self.sim_level
        if self._mode not in (self.OUT, self.OPEN_DRAIN):
            raise Misuse(f"pin {self.sim_id} is written but is no output")
        self.sim_level = 1 if x else 0
        for sda, hold in list(_board.holds.items()):
            if hold.drive(self.sim_id, self.sim_level, sda):
                del _board.holds[sda]
        return None

    def __call__(self, x: Any = _ABSENT, /) -> int | None:
        return self.value(x)

    def on(self) -> None:
        self.value(1)

    def off(self) -> None:
        self.value(0)


class Timer:
    """The soft timer, `Timer(-1)`: it runs callbacks late while the scheduler is locked, and
    loses those that find its queue full. `hard=False` must be written out: the default differs
    between versions of MicroPython.
    """

    ONE_SHOT: Final = 1
    PERIODIC: Final = 2

    def __init__(
        self,
        id: int,
        /,
        *,
        mode: int = PERIODIC,
        period: int | None = None,
        freq: int | None = None,
        tick_hz: int | None = None,
        callback: "Callable[[Timer], None] | None" = None,
        hard: bool | None = None,
    ) -> None:
        if id != -1:
            raise ValueError("Timer doesn't exist")
        self._board = _board
        self._cancel: Callable[[], None] | None = None  # set while the timer runs
        if callback is not None or period is not None or freq is not None:
            self.init(
                mode=mode, period=period, freq=freq, tick_hz=tick_hz, callback=callback, hard=hard
            )

    def init(
        self,
        *,
        mode: int = PERIODIC,
        period: int | None = None,
        freq: int | None = None,
        tick_hz: int | None = None,
        callback: "Callable[[Timer], None] | None" = None,
        hard: bool | None = None,
    ) -> None:
        self.deinit()
        if hard is not False:
            raise Misuse("hard=False is not written out, or a hard timer is asked for")
        if tick_hz is not None or callback is None or (period is None) == (freq is None):
            raise Misuse("a timer needs a callback, and either a period in ms or a frequency")
        ms = 1000 // freq if freq else period or 0
        if ms < 1:
            raise Misuse("a period below 1 ms becomes 1 ms in silence")
        self._start(mode, ms * 1000, callback)

    def deinit(self) -> None:
        if self._cancel is not None:
            self._cancel()
            self._cancel = None

    def _start(self, mode: int, us: int, callback: "Callable[[Timer], None]") -> None:
        def due() -> None:
            self._cancel = None
            if mode == self.PERIODIC:
                self._start(mode, us, callback)
            self._board.schedule(lambda: callback(self))

        self._cancel = self._board.clock.sim_at(us, due)


class WDT:
    """The watchdog: `Reset` for WDT_RESET out of whatever runs when it was not fed in time.
    Nothing but a reset ends it.
    """

    def __init__(self, *, id: int = 0, timeout: int = 5000) -> None:
        if id != 0 or not 0 < timeout <= 32_768:
            raise ValueError("the STM32 port has one watchdog, of up to 32 seconds")
        self._timeout = timeout
        self._cancel: Callable[[], None] = lambda: None
        self.feed()

    def feed(self) -> None:
        self._cancel()
        self._cancel = _board.clock.sim_at(self._timeout * 1000, self._bite)

    def _bite(self) -> None:
        raise Reset(WDT_RESET)


class UART:
    """A serial port: what arrives waits in a buffer of `rxbuf` bytes (64 if not given), what does
    not fit is lost; `write` takes the time that the line takes.

    A read waits for the byte after each that it has got, for `timeout_char`, of which the port
    makes 2 ms and the time of a character at least (machine_uart.c:222-226 in 1.25.0), as long as
    it has fewer bytes than it was asked for. It waits in `uart_rx_wait`
    (uart.c:1039-1050), where a Ctrl-C is raised; the bytes that it has got by then are lost.

    Not modelled: parity, framing and flow control, a write that times out.
    """

    IRQ_RX: Final = 32
    IRQ_RXIDLE: Final = 16

    def __init__(
        self,
        id: int | str = _ABSENT,
        /,
        baudrate: int = 9600,
        bits: int = 8,
        parity: int | None = None,
        stop: int = 1,
        *,
        tx: Any = None,
        rx: Any = None,
        txbuf: int | None = None,
        rxbuf: int | None = None,
        timeout: int | None = None,
        timeout_char: int | None = None,
        invert: int | None = None,
        flow: int | None = None,
        rts: Any = None,
        cts: Any = None,
        pins: Any = None,
    ) -> None:
        if id is _ABSENT:
            raise TypeError("the STM32 port's UART needs an id")
        self.sim_sent = bytearray()  # all that went out
        self.sim_lost = 0  # bytes that found the receive buffer full
        self._open = False
        self._handler: Callable[[UART], None] | None = None
        self._trigger = 0
        self.init(
            baudrate,
            bits,
            parity,
            stop,
            tx=tx,
            rx=rx,
            txbuf=txbuf,
            rxbuf=rxbuf,
            timeout=timeout,
            timeout_char=timeout_char,
            invert=invert,
            flow=flow,
            rts=rts,
            cts=cts,
            pins=pins,
        )

    def init(
        self,
        /,
        baudrate: int = 9600,
        bits: int = 8,
        parity: int | None = None,
        stop: int = 1,
        *,
        tx: Any = None,
        rx: Any = None,
        txbuf: int | None = None,
        rxbuf: int | None = None,
        timeout: int | None = None,
        timeout_char: int | None = None,
        invert: int | None = None,
        flow: int | None = None,
        rts: Any = None,
        cts: Any = None,
        pins: Any = None,
    ) -> None:
        for argument in (tx, rx, txbuf, invert, rts, cts, pins):
            if argument is not None:
                raise TypeError("the STM32 port knows no pins, txbuf and invert here")
        if bits != 8 or parity is not None or flow:
            raise Misuse("only eight bits without parity and flow control are modelled")
        self._bits = 9 + stop
        self._baudrate = baudrate
        self._timeout = timeout or 0  # ms to wait for the first byte
        self._timeout_char = max(
            timeout_char or 0, 13_000 // baudrate + 2
        )  # and for the next ones
        self._room = 64 if rxbuf is None else rxbuf
        self._received = bytearray()
        self._open = True

    def deinit(self) -> None:
        self._open = False

    def any(self) -> int:
        self._check()
        return len(self._received)

    def read(self, nbytes: int = _ABSENT, /) -> bytes | None:
        return self._take(len(self._received) if nbytes is _ABSENT else nbytes)

    def readinto(self, buf: "Writable", nbytes: int = _ABSENT, /) -> int | None:
        if nbytes is not _ABSENT and nbytes > len(buf):
            raise Misuse("the buffer is smaller than the bytes asked for: they become fewer")
        data = self._take(len(buf) if nbytes is _ABSENT else nbytes)
        if data is None:
            return None
        buf[: len(data)] = data
        return len(data)

    def write(self, buf: "Readable", /) -> int | None:
        self._check()
        self.sim_sent += buf
        _board.clock.sleep_us(len(buf) * self._bits * 1_000_000 // self._baudrate)
        return len(buf)

    def irq(
        self,
        handler: "Callable[[UART], None] | None" = None,
        trigger: int = 0,
        hard: bool = False,
        /,
    ) -> None:
        if trigger & ~(self.IRQ_RX | self.IRQ_RXIDLE):
            raise ValueError("trigger is not supported")
        self._handler = handler
        self._trigger = trigger

    def sim_receive(self, data: bytes) -> None:
        """Bytes arrive, all at once; the handler runs once, as after a pause on the line."""
        self._check()
        fits = data[: max(0, self._room - len(self._received))]
        self.sim_lost += len(data) - len(fits)
        self._received += fits
        if self._handler is not None and self._trigger:
            self._handler(self)

    def _take(self, nbytes: int) -> bytes | None:
        self._check()
        data = bytearray()
        patience = self._timeout
        while len(data) < nbytes and self._wait(patience):
            data.append(self._received.pop(0))
            patience = self._timeout_char
        return bytes(data) or None

    def _wait(self, ms: int) -> bool:
        """`uart_rx_wait`: whether a byte is there."""
        for _ in range(ms):
            if self._received:
                break
            sim_event_poll()
            _board.clock.sleep_ms(1)
        return bool(self._received)

    def _check(self) -> None:
        if not self._open:
            raise Misuse("the UART is used after deinit()")


class I2C:
    """An I2C bus with the devices that `sim_attach` puts on it. Absent addresses do not
    acknowledge: ENODEV. A device that stops acknowledging makes `writeto` and `writevto` return
    fewer bytes and raises nothing; `writeto_mem` would hide that, so there it is `Misuse`.
    Transfers take the time that the bus takes. While a device holds SDA (`sim_hold`) a transfer
    times out: no START comes about (i2c.c:131-133 in 1.25.0).

    Not modelled: `start`, `stop` and transfers without a stop, clock stretching, arbitration.
    """

    def __init__(
        self,
        id: int | str = _ABSENT,
        /,
        *,
        scl: Any = _ABSENT,
        sda: Any = _ABSENT,
        freq: int = 400000,
        timeout: int = 50000,
    ) -> None:
        if id is _ABSENT or scl is not _ABSENT or sda is not _ABSENT:
            raise ValueError("the STM32 port's I2C takes a bus number and has fixed pins")
        self._devices: dict[int, Fram] = {}
        self._freq = freq
        self._patience = timeout  # us

    def __repr__(self) -> str:
        return f"I2C(1, freq={self._freq})"

    def init(self, *, scl: Any = _ABSENT, sda: Any = _ABSENT, freq: int = 400000) -> None:
        self._freq = freq

    def scan(self) -> list[int]:
        return sorted(self._devices)

    def writeto(self, addr: int, buf: "Readable", stop: bool = True, /) -> int:
        return self.writevto(addr, (buf,), stop)

    def writevto(self, addr: int, vector: "Sequence[Readable]", stop: bool = True, /) -> int:
        if not stop:
            raise Misuse("a transfer without a stop is not modelled")
        data = b"".join(bytes(part) for part in vector)
        return self._device(addr, len(data)).i2c_write(data)

    def readfrom_into(self, addr: int, buf: "Writable", stop: bool = True, /) -> None:
        if not stop:
            raise Misuse("a transfer without a stop is not modelled")
        self._device(addr, len(buf)).i2c_read(memoryview(buf))

    def readfrom(self, addr: int, nbytes: int, stop: bool = True, /) -> bytes:
        buf = bytearray(nbytes)
        self.readfrom_into(addr, buf, stop)
        return bytes(buf)

    def readfrom_mem_into(
        self, addr: int, memaddr: int, buf: "Writable", /, *, addrsize: int = 8
    ) -> None:
        self.writevto(addr, (self._memaddr(memaddr, addrsize),))
        self.readfrom_into(addr, buf)

    def readfrom_mem(self, addr: int, memaddr: int, nbytes: int, /, *, addrsize: int = 8) -> bytes:
        buf = bytearray(nbytes)
        self.readfrom_mem_into(addr, memaddr, buf, addrsize=addrsize)
        return bytes(buf)

    def writeto_mem(
        self, addr: int, memaddr: int, buf: "Readable", /, *, addrsize: int = 8
    ) -> None:
        start = self._memaddr(memaddr, addrsize)
        acked = self.writevto(addr, (start, buf))
        if acked != len(start) + len(buf):
            raise Misuse("writeto_mem does not tell that the device stopped acknowledging")

    def sim_attach(self, device: "Fram") -> None:
        """Puts a device on the bus, at its own address."""
        if device.address in self._devices:
            raise ValueError("two devices at one address")
        self._devices[device.address] = device

    def sim_detach(self, addr: int) -> None:
        """Takes the device at `addr` off the bus."""
        del self._devices[addr]

    def _device(self, addr: int, length: int) -> "Fram":
        if _board.holds:
            _board.clock.sleep_us(self._patience)
            raise OSError(_ETIMEDOUT, "no START: SDA is held down")
        # Address and data bytes, nine bits each with the acknowledgement.
        _board.clock.sleep_us((1 + length) * 9 * 1_000_000 // self._freq)
        device = self._devices.get(addr)
        if device is None:
            raise OSError(_ENODEV, "no device acknowledges")
        return device

    def _memaddr(self, memaddr: int, addrsize: int) -> bytes:
        if addrsize not in (8, 16, 24, 32):
            raise ValueError("invalid addrsize")
        if memaddr >> addrsize:
            raise Misuse(f"memory address {memaddr:#x} is cut to {addrsize} bits")
        return memaddr.to_bytes(addrsize // 8, "big")


class SoftI2C(I2C):
    """The same bus on any two pins."""

    def __init__(self, scl: Any, sda: Any, *, freq: int = 400000, timeout: int = 50000) -> None:
        super().__init__(0, freq=freq, timeout=timeout)
