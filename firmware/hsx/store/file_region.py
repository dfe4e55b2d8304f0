# SPDX-License-Identifier: MIT
"""A file as a region: on a node's flash filesystem, and store files on a host."""

from ..errors import EIO, HsxError
from .region import Region

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class FileRegion(Region):
    """The file at `path`, as long as it is; with `size`, a missing or shorter file is first
    filled up with 0xFF, as a new part reads. Keeps the file open until `close()`. `read_only`:
    writes are EIO. OSError of the filesystem passes through."""

    def __init__(self, path: str, size: int = 0, read_only: bool = False) -> None:
        self._read_only = read_only
        try:
            self._file: "Any" = open(path, "rb" if read_only else "r+b")  # noqa: SIM115  open as long as the region lives
        except OSError:
            if not size or read_only:
                raise
            self._file = open(path, "w+b")  # noqa: SIM115  the same
        length = self._file.seek(0, 2)
        while length < size:
            length += self._file.write(b"\xff" * min(256, size - length))
        self._file.flush()
        Region.__init__(self, length)

    def _read(self, addr: int, buf: memoryview) -> None:
        self._file.seek(addr)
        if self._file.readinto(buf) != len(buf):
            raise HsxError(EIO, "write", "store file is shorter than it was")

    def _write(self, addr: int, buf: memoryview) -> None:
        if self._read_only:
            raise HsxError(EIO, "write", "store file is open for reading only")
        self._file.seek(addr)
        if self._file.write(buf) != len(buf):
            raise HsxError(EIO, "write", "store file took only a part")
        # The order of writes is what the store relies on: nothing may wait in a buffer.
        self._file.flush()

    def close(self) -> None:
        """Closes the file; the region is of no use after it."""
        self._file.close()
