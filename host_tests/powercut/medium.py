# SPDX-License-Identifier: MIT
"""A part that counts every byte that reaches it, and fails where it is told to.

Not modelled: bytes that arrive out of order, and cells that forget.
"""

from collections.abc import Callable

from fakes.fram import PowerCut
from hsx.errors import EIO, ENODEV, HsxError
from hsx.store.region import Region

TORN = (
    "old",
    "garbage",
)  # what the byte is that was being written; "new" is the next byte's "old"


class Medium(Region):
    """`memory`: the cells. `cut_at`: bytes that are still written before PowerCut is raised, and
    again by every access after it; None: never. `torn`: one of TORN. `written_hook`: called after
    each write with the number of writes so far."""

    def __init__(
        self,
        memory: bytearray,
        cut_at: int | None = None,
        torn: str = "old",
        written_hook: Callable[[int], None] | None = None,
    ) -> None:
        super().__init__(len(memory))
        self.memory = memory
        self.written = 0  # bytes
        self.reads = 0
        self.log: list[tuple[int, bytes]] = []  # each write, as it was asked for
        self._cut_at = cut_at
        self._torn = torn
        self._hook = written_hook
        self._off = False

    def _read(self, addr: int, buf: memoryview) -> None:
        if self._off:
            raise PowerCut
        self.reads += 1
        buf[:] = self.memory[addr : addr + len(buf)]

    def _write(self, addr: int, buf: memoryview) -> None:
        if self._off:
            raise PowerCut
        self.log.append((addr, bytes(buf)))
        count = len(buf)
        if self._cut_at is not None and self.written + count > self._cut_at:
            count = self._cut_at - self.written
            self._off = True
        self.memory[addr : addr + count] = buf[:count]
        self.written += count
        if self._off:
            if self._torn == "garbage":
                self.memory[addr + count] = garbage(self.memory[addr + count], buf[count])
            raise PowerCut
        if self._hook is not None:
            self._hook(len(self.log))


class Faulty(Medium):
    """A part on a bus that fails once. `nack_at`: the byte behind so many written ones is not
    acknowledged, EIO; `absent_at`: at the read behind so many nobody answers, ENODEV."""

    def __init__(
        self, memory: bytearray, nack_at: int | None = None, absent_at: int | None = None
    ) -> None:
        super().__init__(memory)
        self._nack_at = nack_at
        self._absent_at = absent_at
        self.well = False  # while it is True the bus does not fail, and nothing is counted

    def _read(self, addr: int, buf: memoryview) -> None:
        if self.well:
            self.reads -= 1
        elif self.reads == self._absent_at:
            self._absent_at = None
            raise HsxError(ENODEV, "write", "no FRAM at this bus address")
        super()._read(addr, buf)

    def _write(self, addr: int, buf: memoryview) -> None:
        left = len(buf) if self._nack_at is None else self._nack_at - self.written
        if left >= len(buf):
            super()._write(addr, buf)
            return
        self._nack_at = None
        super()._write(addr, buf[:left])
        raise HsxError(EIO, "write", "FRAM stopped acknowledging")


class Refusing(Medium):
    """A part that does not acknowledge the writes with the numbers `refused`, counted from 0: EIO,
    and no more than their first `kept` bytes have arrived."""

    refused = range(0)
    kept = 0

    def refuse(self, first: int, count: int = 1, kept: int = 0) -> None:
        """The `count` writes that follow the next `first`."""
        self.refused = range(len(self.log) + first, len(self.log) + first + count)
        self.kept = kept

    def _write(self, addr: int, buf: memoryview) -> None:
        if len(self.log) in self.refused:
            super()._write(addr, buf[: self.kept])
            raise HsxError(EIO, "write", "FRAM stopped acknowledging")
        super()._write(addr, buf)


def garbage(old: int, new: int) -> int:
    """A byte that is neither."""
    return next(byte for byte in (old ^ 0xFF, old ^ 0x55, old ^ 0xAA) if byte not in (old, new))


def prefix(
    memory: bytes, log: list[tuple[int, bytes]], cut_at: int | None, torn: str
) -> bytearray:
    """The cells after a run that wrote `log` onto `memory` was cut at `cut_at`: the same as the
    cut run leaves, without running it. None: it was not cut."""
    part = Medium(bytearray(memory), cut_at, torn)
    try:
        for addr, data in log:
            part.write(addr, data)
    except PowerCut:
        pass
    return part.memory
