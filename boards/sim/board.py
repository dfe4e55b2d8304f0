# SPDX-License-Identifier: MIT
"""The node on a PC as `hsx.boot.wiring` sees it. No file is touched before a function asks.

Arguments of the program: `sd=FILE` is the SD card, a FAT volume; none is an empty slot.
`fram=FILE` is the FRAM, made if it is missing; none is a board without one. `bus=FD` is an open
socket, on which the node is an SLCAN adapter, a station of a CAN bus; `node=N` its number there;
`uid=TEXT` its unique id; with `can=ignore` it asks no master for a set. The console is stderr, so
that what a script prints stays apart from what the node says.
"""

import sys

from micropython import const

NAME = "sim"

# Bytes of the heap that are set apart for task memory at boot, as on the Cortex-M4.
POOL = const(34 * 1024)

# What the boot configuration says here unless a file says otherwise, and images in the firmware.
BOOT = (("can", "ignore"),) if "can=ignore" in sys.argv else ()
IMAGES = ()

_SECTOR = const(512)
_FRAM_SIZE = const(0x20000)
_WAIT_MS = const(50)


_bus: "list" = []  # the open one


def _argument(name: str, otherwise: str = "") -> str:
    for argument in sys.argv:
        if argument.startswith(name):
            return argument[len(name) :]
    return otherwise


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
    path = _argument("sd=")
    if not path:
        raise OSError(19)
    return SdCard(path)


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

    path = _argument("fram=")
    return FileRegion(path, _FRAM_SIZE) if path else None


def policy(policy):
    """A desk's node takes what it is given: nothing is signed, nobody is trusted."""
    policy.number = int(_argument("node=", "127"))


def unique_id():
    """A program has none of its own."""
    return _argument("uid=", "sim").encode()


def links(links):
    """The bus that it was given; else its standard streams are all it has."""
    handle = _argument("bus=")
    if not handle:
        return []
    from hsx.transport.can_slcan import SlcanRunner

    _bus.append(open(int(handle), "r+b"))  # noqa: SIM115  as long as the node lives
    return [SlcanRunner(_bus[0], links.can("CAN:%d"))]


def attend():
    """Gives the node a turn whenever a frame comes, besides those of its timer; returns when the
    bus is no more. For a program that was given one."""
    import select

    import hsx
    from hsx.boot import lock, wiring

    node = hsx.runtime()
    poll = select.poll()
    poll.register(_bus[0], select.POLLIN)
    while True:
        # The timer's signal may come just before the wait begins: it must not last.
        for _, what in poll.ipoll(_WAIT_MS):
            if what & (select.POLLHUP | select.POLLERR):
                return
            lock.run(node.poll, wiring.now())


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
