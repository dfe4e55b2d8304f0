# SPDX-License-Identifier: MIT
"""The emulated board as `hsx.boot.wiring` sees it. No driver is touched before a function asks."""

from micropython import const

NAME = "qemu_m4"

# Bytes of the heap that are set apart for task memory at boot.
POOL = const(34 * 1024)

# SLCAN lines of a DATA frame, 22 bytes, that a UART's receive buffer holds.
_LINES = const(93)

# Devices that together are one FRAM region: (I2C address, size in bytes).
FRAM = ((0x50, 65536), (0x51, 65536))

# What the boot configuration says here unless a file says otherwise, and images in the firmware.
BOOT = ()
IMAGES = ()

_CAUSES = ("soft", "power-on", "hard", "watchdog", "", "hard fault")


def console():
    """Where the boot log and the apps' text go: `write(buf)`, which never waits."""
    from machine import UART

    return UART(1)


def unique_id():
    """What the host has called this machine."""
    from machine import unique_id

    return unique_id()


def links(links):
    """UART 2 is the line to a host, apart from the REPL's. UART 3 is SLCAN, on which the node is a
    station of a CAN bus: the machine has no controller. The emulated wires have no bit rate."""
    from machine import UART

    from hsx.transport.can_slcan import SlcanRunner
    from hsx.transport.uart import UartRunner

    uart = UartRunner(lambda: UART(2), links.uart("UART:2", 512))
    return [uart, SlcanRunner(UART(3), links.can("CAN:%d:3", _LINES))]


def sdcard():
    """Block device of the SD card. Raises OSError ENODEV if there is none."""
    from machine import SDCard

    return SDCard()


def sdcard_present() -> bool:
    """Whether the host's file is there and not empty. Takes no heap, which `from` would."""
    import machine

    return machine.SDCard.present()


def mount_sdcard(root: str):
    """Makes the files of the card's FAT volume readable below `root`. Raises OSError."""
    import vfs

    vfs.mount(vfs.VfsFat(sdcard()), root, readonly=True)


def unmount_sdcard(root: str):
    """Forgets the volume of a card that was taken out."""
    import vfs

    vfs.umount(root)
    sdcard().deinit()


def timer(period_ms: int, callback):
    """A running soft timer; `deinit()` stops it."""
    from machine import Timer

    return Timer(-1, mode=Timer.PERIODIC, period=period_ms, callback=callback, hard=False)


def i2c():
    """The bus of the FRAM devices."""
    from machine import I2C

    return I2C(0)


def fram():
    """The FRAM devices as one region; None for a machine that was started without any."""
    bus = i2c()
    if FRAM[0][0] not in bus.scan():
        return None
    from hsx.store.fram_i2c import FramI2c

    return FramI2c(bus, tuple([address for address, _ in FRAM]), FRAM[0][1])


def policy(policy):
    """A desk's node takes what it is given: nothing is signed, nobody is trusted."""


def reset_cause():
    """What began this start: "soft", "power-on", "hard", "watchdog" or "hard fault"."""
    import machine

    return _CAUSES[machine.reset_cause()]


def reset():
    """Resets the machine."""
    import machine

    machine.reset()


def kept():
    """The word that outlives every reset but the loss of power: below 2**30, 0 after that."""
    import machine

    return machine.kept()


def keep(word: int):
    """Puts a new one there."""
    import machine

    machine.kept(word)


def safe_pin():
    """Whether the switch for the safe mode is on: the machine's argument `safe`."""
    import machine

    return machine.argument("safe")


def watchdog(ms: int):
    """The running watchdog: `feed()` it within `ms`."""
    from machine import WDT

    return WDT(timeout=ms)


def mount_flash(root: str):
    """Makes the flash file system readable and writable below `root`. Raises OSError."""
    import vfs
    from machine import Flash

    vfs.mount(vfs.VfsFat(Flash()), root)
