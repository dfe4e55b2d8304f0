# SPDX-License-Identifier: MIT
"""What all STM32 boards do alike. A board.py begins with it (`from stm32 import *`) and says what
it has of its own."""

import machine
from micropython import const

import hsxvm

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from hsx.boot.links import Links
    from hsx.contracts import Runner, TimerHandle
    from hsx.service.policy import Policy
    from hsx.store.fram_i2c import FramI2c
    from hsx.transport.uart import UartRunner

# What the boot configuration says here unless a file says otherwise, and images in the firmware.
BOOT = (("watchdog_ms", 30_000),)
IMAGES = ()

_ENODEV = const(19)
_RING = const(1024)  # bytes of text that wait for a UART
_TURN = const(16)  # bytes written at once: 1.4 ms at 115,200 bit/s
_TURN_MS = const(8)
_WATCHDOG_MAX = const(32_000)  # ms


class UartText:
    """Text for a UART: `write` only puts it into a ring, from which a soft timer sends; the
    driver's own `write` would wait for the line. What does not fit is dropped."""

    def __init__(self, uart: "Any") -> None:
        self._uart = uart
        self._ring = memoryview(bytearray(_RING))
        self._first = 0
        self._count = 0
        self._timer = timer(_TURN_MS, self._turn)

    def write(self, data: "str | memoryview") -> int:
        """Takes what there is room for; returns how many bytes that was."""
        source = data.encode() if isinstance(data, str) else data
        room = min(len(source), _RING - self._count)
        at = (self._first + self._count) % _RING
        for i in range(room):
            self._ring[at] = source[i]
            at = 0 if at == _RING - 1 else at + 1
        self._count += room
        return room

    def _turn(self, _: object) -> None:
        size = min(self._count, _TURN, _RING - self._first)
        if size:
            self._uart.write(self._ring[self._first : self._first + size])
            self._first = (self._first + size) % _RING
            self._count -= size


def text(port: int) -> UartText:
    """The console on a UART of its own, at 115,200 bit/s."""
    return UartText(machine.UART(port, 115_200))


def timer(period_ms: int, callback: "Callable[[Any], None]") -> "TimerHandle":
    """A running timer in scheduler context; `deinit()` stops it."""
    made = machine.Timer(-1)
    try:
        made.init(mode=made.PERIODIC, period=period_ms, callback=callback, hard=False)
    except TypeError:  # MicroPython 1.25 has soft ones alone and does not know the word
        made.init(mode=made.PERIODIC, period=period_ms, callback=callback)
    return made


def watchdog(ms: int) -> "machine.WDT":
    """The part's watchdog, running: `feed()` it within `ms`, of which 32,000 count at most. Only a
    reset ends it."""
    return machine.WDT(timeout=min(ms, _WATCHDOG_MAX))


def reset_cause() -> str:
    """What began this start: "soft", "power-on", "watchdog" or "hard". A brown-out is a power-on
    to MicroPython."""
    cause = machine.reset_cause()
    if cause == machine.SOFT_RESET:
        return "soft"
    if cause == machine.PWRON_RESET:
        return "power-on"
    return "watchdog" if cause == machine.WDT_RESET else "hard"


def reset() -> None:
    """Resets the board."""
    machine.reset()


def kept_in(register: int) -> int:
    """The word in a backup register, below 2**30; 0 after the power was lost."""
    if machine.reset_cause() == machine.PWRON_RESET:
        return 0
    return machine.mem32[register] & 0x3FFFFFFF


def keep_in(register: int, word: int) -> None:
    """Puts a word there."""
    machine.mem32[register] = word


def safe_pin() -> bool:
    """Whether the user button, if the board has one, is held down."""
    import pyb

    return hasattr(pyb, "Switch") and pyb.Switch().value()


def mount_flash(root: str) -> None:
    """MicroPython has mounted it. Raises OSError where it has none."""
    import os

    os.stat(root)


def policy(policy: "Policy") -> None:
    """A desk's node takes what it is given: docs/security.md has what a field's node needs."""


def unique_id() -> bytes:
    """The part's own, 12 bytes."""
    return machine.unique_id()


def fram_i2c(
    bus: int,
    addresses: "tuple[int, ...]",
    device_size: int,
    pins: "tuple[tuple[str, str], ...]",
    register: int = 0,
    timing: int = 0,
) -> "FramI2c":
    """FRAM on an I2C bus. `pins`: the board's PINS, with I2C<bus>_SCL and _SDA. `register`: the
    address of the bus's clock register, CCR or TIMINGR; `timing`: its 32 bits, as MicroPython
    writes those for another clock. Without a register software drives the bus. Raises OSError:
    ENODEV if nothing acknowledges the first address, ETIMEDOUT on a bus that is held down."""
    from hsx.store.fram_i2c import FramI2c

    named = dict(pins)
    # Of "PB6" MicroPython knows "B6" on every board: the name of the part, not of the board.
    scl, sda = named["I2C%d_SCL" % bus][1:], named["I2C%d_SDA" % bus][1:]

    def opened() -> "Any":
        _free(scl, sda)
        if not register:
            return machine.SoftI2C(machine.Pin(scl), machine.Pin(sda), freq=400_000)
        i2c = machine.I2C(bus, freq=400_000)
        machine.mem32[register] = timing
        return i2c

    i2c = opened()
    # One question, and no scan of all addresses: on a bus that is stuck each costs a time-out.
    i2c.writeto(addresses[0], b"")
    return FramI2c(i2c, addresses, device_size, renew=opened)


def _free(scl: str, sda: str) -> None:
    """Ends the read that a reset has cut (UM10204, 3.1.16). A FRAM that was giving a 0 holds SDA,
    so that no START can be: clocks bring it to a 1 or to the bit of the acknowledgement, nine at
    most. A START and a STOP end what it does."""
    from time import sleep_us

    # Low first: until it is an open drain the pin would push against the FRAM.
    data = machine.Pin(sda, machine.Pin.OPEN_DRAIN, value=0)
    clock = machine.Pin(scl, machine.Pin.OPEN_DRAIN, value=1)
    # Each level stays for longer than fast mode needs, however fast the core is: at 400 MHz two
    # calls follow each other in 0.3 us.
    sleep_us(2)
    data(1)
    sleep_us(2)
    for _ in range(9):
        if data():
            break
        clock(0)
        sleep_us(2)
        clock(1)
        sleep_us(2)
    data(0)
    sleep_us(2)
    data(1)
    sleep_us(2)


def uart(links: "Links", port: int, baudrate: int) -> "UartRunner":
    """The line to a host. The receive buffer takes what comes while a poll writes."""
    from hsx.transport.uart import UartRunner

    engine = links.uart("UART:%d" % port, 512, 1048)
    return UartRunner(
        lambda: machine.UART(port, baudrate, timeout=0, rxbuf=1048),
        engine,
    )


def can(
    links: "Links",
    bus: int,
    bitrate: int = 500_000,
    fifos: "tuple[int, int] | None" = None,
) -> "Runner":
    """The CAN bus, by the class that this MicroPython has for it. `fifos`: addresses of RF0R and
    RF1R, of a bxCAN."""
    registers = None if fifos is None else (machine.mem32, fifos[0], fifos[1])
    engine = links.can("CAN:%%d:%d" % bus, bitrate=bitrate)
    if hasattr(machine, "CAN"):
        from hsx.transport.can_machine import CanRunner as Machine

        return Machine(lambda: machine.CAN(bus, bitrate), engine, fifos=registers)
    import pyb

    from hsx.transport.can_pyb import CanRunner as Pyb

    def opened() -> "pyb.CAN":
        # Off the bus until it has its bit rate, which only `init` takes.
        made = pyb.CAN(bus, pyb.CAN.SILENT_LOOPBACK)
        made.init(pyb.CAN.NORMAL, baudrate=bitrate, auto_restart=True)
        return made

    return Pyb(opened, engine, fifos=registers)


# The card, of a part with SDIO or SDMMC.


def sdcard_present() -> bool:
    """Whether the slot's switch, if the board has a slot, says that a card is in it."""
    import pyb

    return hasattr(pyb, "SDCard") and pyb.SDCard().present()


def mount_sdcard(root: str) -> None:
    """Makes the files of the card's FAT volume readable below `root`. Raises OSError."""
    import pyb

    if not hasattr(pyb, "SDCard"):
        raise OSError(_ENODEV)
    import vfs

    card = pyb.SDCard()
    if not _powered(card):
        raise OSError(_ENODEV)
    # The stub's SDCard differs from the stub's block device in the type of a result.
    vfs.mount(vfs.VfsFat(card), root, readonly=True)  # type: ignore[arg-type]


def _powered(card: "Any") -> bool:
    """Whether the card has started. Off first: the driver would take another card for the one that
    it has started. It waits for a slow card where a Ctrl-C is raised whatever the lock says
    (`mp_hal_delay_ms`): then it begins anew, and the Ctrl-C comes when the poll is over."""
    interrupted = False
    while True:
        try:
            card.power(False)
            started = card.power(True)
            break
        except KeyboardInterrupt:
            interrupted = True
    if interrupted:
        hsxvm.interrupt()
    return started


def unmount_sdcard(root: str) -> None:
    """Forgets the volume of a card that was taken out."""
    import pyb
    import vfs

    vfs.umount(root)
    pyb.SDCard().power(False)
