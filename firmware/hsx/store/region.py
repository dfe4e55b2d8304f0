# SPDX-License-Identifier: MIT
"""An address range of a medium: what the whole store reads and writes.

A driver is a Region whose `_read` and `_write` reach the part. Errors: EINVAL for a range outside
(ours), ENODEV where nothing answers, EIO where a transfer broke off. A write is not atomic: after
an error or a power cut any number of its bytes may have arrived, in order.
"""

from ..errors import EINVAL, HsxError


class Region:
    """`size` bytes from address 0."""

    def __init__(self, size: int) -> None:
        self.size = size

    def readinto(self, addr: int, buf: "bytearray | memoryview") -> None:
        """Fills `buf` from `addr`."""
        self._check(addr, len(buf))
        self._read(addr, memoryview(buf))

    def write(self, addr: int, buf: "bytes | bytearray | memoryview") -> None:
        """Writes `buf` at `addr`, in ascending order."""
        self._check(addr, len(buf))
        self._write(addr, memoryview(buf))

    def _check(self, addr: int, count: int) -> None:
        if addr < 0 or count > self.size or addr > self.size - count:
            raise HsxError(EINVAL, "write", "address outside the medium", offset=addr)

    def _read(self, addr: int, buf: memoryview) -> None:
        raise NotImplementedError

    def _write(self, addr: int, buf: memoryview) -> None:
        raise NotImplementedError


class SubRegion(Region):
    """`size` bytes of `parent` from `base`. `written` counts the bytes handed on, for wear."""

    def __init__(self, parent: Region, base: int, size: int) -> None:
        parent._check(base, size)
        Region.__init__(self, size)
        self._parent = parent
        self._base = base
        self.written = 0  # bytes since the counter was last taken

    def readinto(self, addr: int, buf: "bytearray | memoryview") -> None:
        """As Region, at the parent."""
        self._check(addr, len(buf))
        self._parent.readinto(self._base + addr, buf)

    def write(self, addr: int, buf: "bytes | bytearray | memoryview") -> None:
        """As Region, at the parent."""
        self._check(addr, len(buf))
        # Counted first: a write that fails halfway has worn the medium too.
        self.written += len(buf)
        self._parent.write(self._base + addr, buf)


def write_changed(region: Region, addr: int, data: memoryview, old: memoryview) -> bool:
    """Makes what is at `addr` equal to `data` by writing only from the first to the last byte that
    differs on the medium (R7). `old`: as many bytes, to read into. Whether anything was written.

    On the target a call with more on its stack than this one takes it from the heap."""
    region.readinto(addr, old)
    if old == data:
        return False
    first = 0
    while old[first] == data[first]:
        first += 1
    last = len(data)
    while old[last - 1] == data[last - 1]:
        last -= 1
    data = data[first:last]
    region.write(addr + first, data)
    return True
