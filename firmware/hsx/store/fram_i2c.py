# SPDX-License-Identifier: MIT
"""I2C FRAM: one or several devices of equal size as one region.

Parts with a 16-bit memory address (MB85RC256V, FM24V10 and their like). A 1-Mbit part answers at
two neighbouring bus addresses and counts as two devices. `bus` is a `machine.I2C` or anything with
its `writevto` and `readfrom_into`.
"""

from ..errors import EINVAL, EIO, ENODEV, HsxError
from .region import Region

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class FramI2c(Region):
    """`addresses`: bus addresses in the order of the memory. `device_size`: bytes of each, at most
    65,536. `transfer`: the most payload bytes of one bus transfer. `renew`: makes the bus anew; a
    transfer that a bus error has ended is tried once more after it, as a controller that timed out
    may not get out of that by itself."""

    def __init__(
        self,
        bus: "Any",
        addresses: "tuple[int, ...]" = (0x50,),
        device_size: int = 0x8000,
        transfer: int = 32,
        renew: "Callable[[], Any] | None" = None,
    ) -> None:
        if not addresses or not 0 < device_size <= 0x10000 or transfer < 1:
            raise HsxError(EINVAL, "begin", "devices of a FRAM")
        Region.__init__(self, device_size * len(addresses))
        self._bus = bus
        self._renew = renew
        self._addresses = addresses
        self._device_size = device_size
        self._transfer = transfer
        self._at = bytearray(2)  # memory address of the transfer under way
        self._address = (self._at,)
        self._vector = [self._at, self._at]  # address, payload

    def _span(self, addr: int, left: int) -> int:
        """Bytes from `addr` that one transfer can carry: none crosses into the next device, whose
        address counter is its own. Sets the memory address."""
        inside = addr % self._device_size
        self._at[0] = inside >> 8
        self._at[1] = inside & 0xFF
        return min(left, self._transfer, self._device_size - inside)

    def _read(self, addr: int, buf: memoryview) -> None:
        self._move(addr, buf, False)

    def _write(self, addr: int, buf: memoryview) -> None:
        self._move(addr, buf, True)

    def _move(self, addr: int, buf: memoryview, writes: bool) -> None:
        done = 0
        while done < len(buf):
            count = self._span(addr + done, len(buf) - done)
            device = self._addresses[(addr + done) // self._device_size]
            part = buf[done : done + count]
            try:
                try:
                    self._transact(device, part, writes)
                except OSError as error:
                    if self._renew is None or error.errno == ENODEV:
                        raise
                    self._bus = self._renew()
                    self._transact(device, part, writes)
            except OSError as error:
                raise _failed(error)
            done += count

    def _transact(self, device: int, part: memoryview, writes: bool) -> None:
        if writes:
            self._vector[1] = part  # type: ignore[call-overload]
            self._send(device, self._vector, 2 + len(part))
        else:
            self._send(device, self._address, 2)
            self._bus.readfrom_into(device, part)

    def _send(self, device: int, vector: "tuple | list", count: int) -> None:
        """One bus transfer; the bus reports a byte that nobody acknowledged by a smaller count.
        Ports count the address or not; a whole transfer counts at least its data and address."""
        if self._bus.writevto(device, vector) < count:
            raise HsxError(EIO, "write", "FRAM stopped acknowledging")


def _failed(error: OSError) -> OSError:
    if isinstance(error, HsxError):
        return error
    if error.errno == ENODEV:
        return HsxError(ENODEV, "write", "no FRAM at this bus address")
    return HsxError(EIO, "write", "bus error at the FRAM")
