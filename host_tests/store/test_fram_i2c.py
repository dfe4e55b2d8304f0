# SPDX-License-Identifier: MIT
import pytest

from fakes.fram import Fram
from fakes.machine import I2C
from hsx.errors import EINVAL, EIO, ENODEV, HsxError
from hsx.store.fram_i2c import FramI2c


class Bench:
    """Two 64 KiB devices on one bus, as a 1-Mbit part answers; `sizes`: of each bus transfer."""

    def __init__(self, transfer: int = 32) -> None:
        self.devices = [Fram(0x50), Fram(0x51)]
        self.bus = I2C(1)
        for device in self.devices:
            self.bus.sim_attach(device)
        self.region = FramI2c(self.bus, (0x50, 0x51), 0x10000, transfer)


def test_two_devices_are_one_region_and_a_write_goes_across():
    bench = Bench()
    data = bytes(range(200))
    bench.region.write(0x10000 - 100, data)
    assert bench.devices[0].memory[-100:] == data[:100]
    assert bench.devices[1].memory[:100] == data[100:]
    got = bytearray(200)
    bench.region.readinto(0x10000 - 100, got)
    assert got == data


@pytest.mark.parametrize("transfer", [1, 7, 32, 300])
def test_no_transfer_carries_more_than_allowed(transfer):
    bench = Bench(transfer)
    bench.region.write(5, bytes(100))
    sizes = [count for _, _, count in bench.devices[0].power.writes]
    assert max(sizes) == min(transfer, 100)
    assert sum(sizes) == 100


def test_absent_device_is_enodev_for_reads_and_writes():
    bench = Bench()
    bench.bus.sim_detach(0x51)
    for touch in (
        lambda: bench.region.write(0x10000, b"x"),
        lambda: bench.region.readinto(0x1FFFF, bytearray(1)),
    ):
        with pytest.raises(HsxError) as caught:
            touch()
        assert caught.value.errno == ENODEV
    bench.region.write(0, b"x")


@pytest.mark.parametrize("acked", range(10))
def test_device_that_stops_acknowledging_is_eio_and_keeps_what_it_took(acked):
    bench = Bench()
    bench.devices[0].nack_after = acked
    with pytest.raises(HsxError) as caught:
        bench.region.write(0, b"0123456789")
    assert caught.value.errno == EIO
    assert bench.devices[0].memory[:10] == b"0123456789"[:acked] + b"\xff" * (10 - acked)


def test_bus_error_is_eio():
    class StuckBus:
        def writevto(self, addr, vector):
            raise OSError(110)

    with pytest.raises(HsxError) as caught:
        FramI2c(StuckBus()).readinto(0, bytearray(1))
    assert caught.value.errno == EIO


@pytest.mark.parametrize("wrong", [((), 64, 32), ((0x50,), 0x10001, 32), ((0x50,), 64, 0)])
def test_impossible_devices_are_einval(wrong):
    with pytest.raises(HsxError) as caught:
        FramI2c(I2C(1), *wrong)
    assert caught.value.errno == EINVAL
