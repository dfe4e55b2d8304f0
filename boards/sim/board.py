# SPDX-License-Identifier: MIT
"""The node on a PC as `hsx.boot.wiring` sees it. No file is touched before a function asks.

Arguments of the program: `sd=FILE` is the SD card, a FAT volume; none is an empty slot.
`fram=FILE` is the FRAM, made if it is missing; none is a board without one. The console is stderr,
so that what a script prints stays apart from what the node says.
"""

import sys

from micropython import const

NAME = "sim"

# Bytes of the heap that are set apart for task memory at boot, as on the Cortex-M4.
POOL = const(34 * 1024)

# What the boot configuration says here unless a file says otherwise, and images in the firmware.
BOOT = ()
IMAGES = ()

_SECTOR = const(512)
_FRAM_SIZE = const(0x20000)


class SdCard:
    """Block device over a file, read-only as the node mounts it.

    A scheduled callback may read the same volume, and the FAT code is not to be entered twice.
    MicroPython runs callbacks where bytecode jumps: the methods that it calls have no jump."""

    def __init__(self, path: str) -> None:
        import os

        self._file = open(path, "rb")  # noqa: SIM115  in the slot as long as the node lives
        # By operation: init, deinit, sync (3), sectors (4), bytes of a sector, erase.
        self._answers = (None, 0, 0, 0, os.stat(path)[6] // _SECTOR, _SECTOR, 0)

    def readblocks(self, number: int, buf: "bytearray") -> None:
        """Fills `buf` from the sector on."""
        self._file.seek(number * _SECTOR)
        self._file.readinto(buf)

    def ioctl(self, operation: int, argument: int) -> "int | None":
        """What MicroPython's block device protocol asks."""
        return self._answers[operation]


class _Timer:
    """The one timer there is; it ends with `deinit`."""

    def __init__(self, period_ms: int, callback) -> None:
        import ticker

        self.deinit = ticker.stop
        ticker.start(period_ms, callback)


def console():
    """Where the boot log and the apps' text go: `write(text)`, which never waits."""
    import console

    return console


def sdcard():
    """Block device of the SD card. Raises OSError ENODEV if there is none."""
    for argument in sys.argv:
        if argument.startswith("sd="):
            return SdCard(argument[3:])
    raise OSError(19)


def sdcard_present() -> bool:
    """Whether the file that is the card is there."""
    import os

    try:
        return any(os.stat(argument[3:])[6] for argument in sys.argv if argument[:3] == "sd=")
    except OSError:
        return False


def mount_sdcard(root: str):
    """Makes the files of the card's FAT volume readable below `root`. Raises OSError."""
    import vfs

    vfs.mount(vfs.VfsFat(sdcard()), root, readonly=True)


def unmount_sdcard(root: str):
    """Forgets the volume of a card that was taken out."""
    import vfs

    vfs.umount(root)


def fram():
    """The file that stands for the FRAM, 128 KiB; None without `fram=FILE`."""
    from hsx.store.file_region import FileRegion

    for argument in sys.argv:
        if argument.startswith("fram="):
            return FileRegion(argument[5:], _FRAM_SIZE)
    return None


def policy(policy):
    """A desk's node takes what it is given: nothing is signed, nobody is trusted."""


def unique_id():
    """A program has none of its own."""
    return b"sim"


def links(links):
    """None yet: the program has its standard streams alone."""
    return []


def hard_reset():
    """Always: a program starts from nothing."""
    return True


def reset_cause():
    """A program starts from nothing."""
    return "power-on"


def reset():
    """Ends the program."""
    sys.exit()


def kept():
    """Nothing outlives a program."""
    return 0


def keep(word: int):
    """Nothing outlives a program."""


def safe_pin():
    """Whether the program was started with the argument `safe`."""
    return "safe" in sys.argv


def watchdog(ms: int):
    """A program has none."""
    return


def mount_flash(root: str):
    """A program has none. Raises OSError."""
    raise OSError(19)


def timer(period_ms: int, callback):
    """A running timer in scheduler context; `deinit()` stops it."""
    return _Timer(period_ms, callback)
