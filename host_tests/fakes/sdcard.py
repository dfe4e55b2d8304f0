# SPDX-License-Identifier: MIT
"""An SD card as a block device over the bytes of a FAT image."""

from fakes import Misuse, machine

_BLOCK = 512
_ATTEMPTS = 10
_INIT, _DEINIT, _SYNC, _COUNT, _SIZE = 1, 2, 3, 4, 5


class SDCard:
    """`pyb.SDCard` with a card in it: `image` is its content, written in place.

    Errors come as the device gives them: False from readblocks and writeblocks, -1 from ioctl.
    A card that does not start at once is asked ten times, 50 ms apart (sdcard.c:283-288 in
    1.25.0): there a Ctrl-C is raised. A card that was started counts as started until it is
    switched off (PYB_SDMMC_FLAG_ACTIVE): another one in its place stays dumb.
    Not modelled: `read` and `write` (deprecated), bus width, speed, wear, a card that tears a
    block when it loses power.
    """

    def __init__(self, image: bytearray) -> None:
        if len(image) % _BLOCK:
            raise ValueError("a card holds whole blocks of 512 bytes")
        self.sim_image: bytearray | None = image  # None: the card was taken out
        self.sim_refusals = 0  # attempts to start that the card leaves unanswered
        self.sim_bad: set[int] = set()  # blocks that cannot be read
        self._on = False
        self._dumb = False  # it was put in while the driver took its slot for started

    def present(self) -> bool:
        return self.sim_image is not None

    def power(self, state: bool) -> bool:
        if not state:
            self._on = self._dumb = False
        elif self.present() and not self._on:
            self._on = self._starts()
        return self._on and self.present()

    def info(self) -> tuple[int, int, int] | None:
        """Capacity in bytes, block size, card type; None without a card."""
        return None if self.sim_image is None else (len(self.sim_image), _BLOCK, 0)

    def readblocks(self, block_num: int, buf: bytearray | memoryview) -> bool:
        self._check(len(buf))
        image = self.sim_image
        count = len(buf) // _BLOCK
        if (
            image is None
            or not self._on
            or self._dumb
            or (block_num + count) * _BLOCK > len(image)
        ):
            return False
        if self.sim_bad.intersection(range(block_num, block_num + count)):
            return False
        buf[:] = image[block_num * _BLOCK : (block_num + count) * _BLOCK]
        return True

    def writeblocks(self, block_num: int, buf: bytes | bytearray | memoryview, /) -> bool:
        self._check(len(buf))
        image = self.sim_image
        end = block_num * _BLOCK + len(buf)
        if image is None or not self._on or self._dumb or end > len(image):
            return False
        image[block_num * _BLOCK : end] = buf
        return True

    def ioctl(self, op: int, arg: int) -> int:
        if op == _INIT:
            return 0 if self.power(True) else -1
        if op == _DEINIT:
            self.power(False)
            return 0
        if op == _SYNC:
            return 0
        if op == _COUNT:
            return 0 if self.sim_image is None else len(self.sim_image) // _BLOCK
        return _BLOCK if op == _SIZE else -1

    def sim_remove(self) -> None:
        """Takes the card out of its slot, under power or not."""
        self.sim_image = None

    def sim_insert(self, image: bytearray) -> None:
        """Puts a card into the slot."""
        self.sim_image = image
        self._dumb = self._on

    def _starts(self) -> bool:
        for _ in range(_ATTEMPTS):
            if self.sim_refusals == 0:
                return True
            self.sim_refusals -= 1
            machine.sim_event_poll()
            machine.sim_clock().sleep_ms(50)
        return False

    def _check(self, length: int) -> None:
        if length == 0 or length % _BLOCK:
            raise Misuse(f"{length} bytes are no whole blocks: the device moves what fits")
