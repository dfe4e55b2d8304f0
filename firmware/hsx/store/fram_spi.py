# SPDX-License-Identifier: MIT
"""SPI FRAM with write enable latch and device ID (MB85RS, FM25 and their like).

`bus` is a `machine.SPI` or anything with its `write`, `readinto` and `write_readinto`; `select` a
pin, called with 0 to begin a transfer and with 1 to end it.
"""

from micropython import const

from ..errors import EINVAL, EIO, ENODEV, HsxError
from .region import Region

_WREN = const(0x06)  # sets the latch; each write clears it
_WRITE = const(0x02)
_READ = const(0x03)
_RDSR = const(0x05)
_RDID = const(0x9F)
_WEL = const(0x02)  # latch bit of the status register


class FramSpi(Region):
    """`size`: bytes; parts of more than 64 KiB take three address bytes. `identity`: the ID bytes
    that the part must answer with (RDID), b"" not to ask; a part that answers nothing, or another
    ID, is ENODEV at construction."""

    def __init__(self, bus: object, select: object, size: int, identity: bytes = b"") -> None:
        if not 0 < size <= 0x1000000:
            raise HsxError(EINVAL, "begin", "size of a FRAM")
        Region.__init__(self, size)
        self._bus = bus
        self._select = select
        self._command = bytearray(4 if size > 0x10000 else 3)
        self._byte = bytearray(1)
        self._status = bytearray(1)
        if identity:
            found = bytearray(len(identity))
            self._byte[0] = _RDID
            self._transfer(self._byte, found, None)
            if found != identity:
                raise HsxError(ENODEV, "begin", "no FRAM of this identity")

    def _read(self, addr: int, buf: memoryview) -> None:
        self._address(_READ, addr)
        self._transfer(self._command, buf, None)

    def _write(self, addr: int, buf: memoryview) -> None:
        self._byte[0] = _WREN
        self._transfer(self._byte, None, None)
        # SPI acknowledges nothing: the latch is the only sign that a part hears us.
        self._byte[0] = _RDSR
        self._transfer(self._byte, self._status, None)
        if not self._status[0] & _WEL or self._status[0] == 0xFF:
            raise HsxError(EIO, "write", "FRAM did not take the write enable")
        self._address(_WRITE, addr)
        self._transfer(self._command, None, buf)

    def _address(self, command: int, addr: int) -> None:
        head = self._command
        head[0] = command
        for at in range(len(head) - 1, 0, -1):
            head[at] = addr & 0xFF
            addr >>= 8

    def _transfer(
        self,
        command: bytearray,
        answer: "bytearray | memoryview | None",
        data: "memoryview | None",
    ) -> None:
        self._select(0)  # type: ignore[operator]
        try:
            self._bus.write(command)  # type: ignore[attr-defined]
            if answer is not None:
                self._bus.readinto(answer)  # type: ignore[attr-defined]
            if data is not None:
                self._bus.write(data)  # type: ignore[attr-defined]
        finally:
            self._select(1)  # type: ignore[operator]
