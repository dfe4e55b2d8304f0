# SPDX-License-Identifier: MIT
import pytest

from hsx.errors import EINVAL, EIO, ENODEV, HsxError
from hsx.store.fram_spi import FramSpi

ID = b"\x04\x7f\x48\x03"


class SpiFram:
    """An SPI FRAM and its select pin: takes a write only behind WREN, in one selection. Not
    modelled: block protection, the write-protect pin, sleep."""

    def __init__(self, size: int, deaf: bool = False) -> None:
        self.memory = bytearray(size)
        self.deaf = deaf  # hears nothing: the bus reads 0xFF
        self.latch = False
        self.taken = bytearray()  # of this selection
        self.selected = False
        self._address_bytes = 3 if size > 0x10000 else 2

    def select(self, level: int) -> None:
        assert self.selected == bool(level), "selections must pair"
        self.selected = not level
        if level and self.taken and not self.deaf:
            self._command()
        self.taken = bytearray()

    def _address(self) -> int:
        return int.from_bytes(self.taken[1 : 1 + self._address_bytes], "big")

    def _command(self) -> None:
        data = self.taken[1 + self._address_bytes :]
        if self.taken[0] == 0x06:
            self.latch = True
        elif self.taken[0] == 0x02:
            assert self.latch, "a write without WREN is ignored by the part"
            self.memory[self._address() : self._address() + len(data)] = data
            self.latch = False

    def write(self, data) -> None:
        assert self.selected
        self.taken += data

    def readinto(self, buf) -> None:
        assert self.selected
        answers = {0x05: bytes([2 * self.latch]), 0x9F: ID, 0x03: self.memory[self._address() :]}
        buf[:] = b"\xff" * len(buf) if self.deaf else answers[self.taken[0]][: len(buf)]


@pytest.mark.parametrize("size", [0x2000, 0x10000, 0x20000])
def test_what_is_written_reads_back_at_both_ends(size):
    part = SpiFram(size)
    region = FramSpi(part, part.select, size, ID)
    for addr in (0, size - 4):
        region.write(addr, b"\x01\x02\x03\x04")
        got = bytearray(4)
        region.readinto(addr, got)
        assert got == b"\x01\x02\x03\x04"
    assert part.memory[:4] == part.memory[-4:]


def test_another_or_no_part_is_enodev():
    for part, identity in ((SpiFram(64), b"\x01" + ID[1:]), (SpiFram(64, deaf=True), ID)):
        with pytest.raises(HsxError) as caught:
            FramSpi(part, part.select, 64, identity)
        assert caught.value.errno == ENODEV


def test_part_that_takes_no_write_enable_is_eio():
    part = SpiFram(64, deaf=True)
    with pytest.raises(HsxError) as caught:
        FramSpi(part, part.select, 64).write(0, b"x")
    assert caught.value.errno == EIO


@pytest.mark.parametrize("size", [0, -1, 0x1000001])
def test_impossible_size_is_einval(size):
    with pytest.raises(HsxError) as caught:
        FramSpi(None, None, size)
    assert caught.value.errno == EINVAL
