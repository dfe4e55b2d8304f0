# SPDX-License-Identifier: MIT
"""I2C FRAM that loses power at any byte of a write."""

from fakes import Misuse


class PowerCut(BaseException):
    """Power is gone: no `except Exception` of the code under test may hold it up."""


class Power:
    """The supply of all devices of one board: counts what is written, and fails on demand.

    `cut_after` bytes are still written, all devices together, then `PowerCut` is raised in the
    middle of the write, and again by every access after it. None: it never fails.
    """

    def __init__(self, cut_after: int | None = None) -> None:
        self.cut_after = cut_after
        # Each write that began, as (device address, memory address, bytes): what a test cuts at.
        self.writes: list[tuple[int, int, int]] = []
        self.written = 0  # bytes
        self.off = False

    def check(self) -> None:
        """PowerCut if there is no power (any more)."""
        if self.off:
            raise PowerCut

    def byte(self) -> None:
        """Accounts for one byte about to be written; PowerCut if it is one too many."""
        if self.cut_after is not None and self.written >= self.cut_after:
            self.off = True
        self.check()
        self.written += 1


class Fram:
    """One 64 KiB device: 16-bit memory address, no erase, no write delay, a byte is written whole.

    A 1-Mbit part answers as two of these at neighbouring addresses. `memory` is the medium; a
    restart is a new `Fram` with a new `Power` on the same one.
    Not modelled: the wrap of the address counter (a real part goes on at 0: here it is `Misuse`),
    write protection, the sleep command, the device ID.
    """

    SIZE = 0x10000

    def __init__(
        self, address: int = 0x50, memory: bytearray | None = None, power: Power | None = None
    ) -> None:
        self.address = address
        self.memory = bytearray(b"\xff" * self.SIZE) if memory is None else memory
        if len(self.memory) != self.SIZE:
            raise ValueError("a device holds 64 KiB")
        self.power = Power() if power is None else power
        self._at: int | None = None  # memory address of the next byte; unknown after power-up
        # Bytes of the next write that the device still acknowledges; None: all.
        self.nack_after: int | None = None

    def i2c_write(self, data: bytes) -> int:
        """Takes one I2C write transfer; returns the bytes acknowledged, address bytes included."""
        self.power.check()
        if not data:
            return 0  # the question whether it is there
        if len(data) < 2:
            raise Misuse("a write ends inside the memory address: the device keeps the old one")
        at = data[0] << 8 | data[1]
        payload = data[2:]
        if at + len(payload) > self.SIZE:
            raise Misuse(f"a write at {at:#x} of {len(payload)} bytes wraps to address 0")
        acked = len(payload)
        if self.nack_after is not None:
            acked, self.nack_after = min(acked, self.nack_after), None
        if payload:
            self.power.writes.append((self.address, at, len(payload)))
        for i in range(acked):
            self.power.byte()
            self.memory[at + i] = payload[i]
        self._at = at + acked
        return 2 + acked

    def i2c_read(self, buf: memoryview) -> None:
        """Fills `buf` from the address that the last transfer left."""
        self.power.check()
        if self._at is None:
            raise Misuse("a read without a memory address: the device gives any")
        if self._at + len(buf) > self.SIZE:
            raise Misuse(f"a read at {self._at:#x} of {len(buf)} bytes wraps to address 0")
        buf[:] = self.memory[self._at : self._at + len(buf)]
        self._at += len(buf)
