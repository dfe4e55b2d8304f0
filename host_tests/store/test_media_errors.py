# SPDX-License-Identifier: MIT
"""A medium that fails, at every access in turn: what comes out, and what is left on it."""

from collections.abc import Callable

import pytest

from fakes.fram import Fram
from fakes.machine import I2C
from hsx.errors import EBADMSG, EIO, ENODEV, HsxError
from hsx.store.fram_i2c import FramI2c
from hsx.store.store import Store
from hsx.store.superblock import CONFIRMED, EMPTY, TRIAL
from powercut.medium import Medium
from powercut.world import boot, finish
from store.bench import ONE, SMALL, TWO, Bench, Faulty, errno

OLD, NEW = 0x1111, 0x2222


def before_update() -> bytes:
    """ONE confirmed, a value and a counter."""
    bench = Bench()
    bench.confirmed(ONE, 1, 1)
    bench.store.values.save(1, OLD)
    bench.store.counters.enrol(b"trusted1", 1)
    return bench.cells


def before_boot() -> bytes:
    """TWO on trial beside ONE, one copy of the superblock bad: the boot repairs, counts, reads."""
    bench = Bench(Medium(bytearray(before_update())))
    bench.push(TWO)
    bench.store.values.save(1, NEW)
    bench.part.memory[20] ^= 1
    return bench.cells


def update(bench: Bench) -> None:
    bench.push(TWO)
    bench.commit.confirm()
    bench.store.values.save(1, NEW)
    bench.store.counters.advance(b"trusted1", 2)


def restart(bench: Bench) -> None:
    bench.reopen()
    boot(bench.store, True)
    bench.store.values.restore(1)


def shown(memory: bytes) -> tuple:
    """What a node finds that starts on a medium that works again; what it needs must be whole."""
    bench = Bench(Medium(bytearray(memory)))
    bank = bench.reset()
    state = bench.state
    return (
        bench.held(bank),
        state.states[bank - 1],
        bench.store.values.restore(1),
        bench.store.counters.value(b"trusted1"),
    )


UPDATED = [
    (ONE, CONFIRMED, OLD, 1),
    (TWO, TRIAL, OLD, 1),
    (TWO, CONFIRMED, OLD, 1),
    (TWO, CONFIRMED, NEW, 1),
    (TWO, CONFIRMED, NEW, 2),
]
STARTED = [(TWO, TRIAL, NEW, 1)]
RUNS: list[tuple[Callable[[], bytes], Callable[[Bench], None], list[tuple]]] = [
    (before_update, update, UPDATED),
    (before_boot, restart, STARTED),
]


@pytest.mark.parametrize(("start", "run", "allowed"), RUNS, ids=["update", "boot"])
@pytest.mark.parametrize("number", [EIO, ENODEV])
@pytest.mark.parametrize("forever", [False, True])
@pytest.mark.parametrize("kept", [0, 1, 40])
def test_an_access_that_fails_comes_out_and_leaves_old_or_new(
    start, run, allowed, number, forever, kept
):
    memory = start()
    at, came_out, seen = 0, 0, []
    while True:
        part = Faulty(bytearray(memory), None, number, forever, kept)
        bench = Bench(part)
        if run is restart:
            part.memory[:] = memory  # opening it has repaired it
        part.accesses, part.fail_at = 0, at
        try:
            run(bench)
        except HsxError as error:
            assert error.errno in (number, ENODEV)
            came_out += 1
        else:
            if part.accesses <= at:
                break
        seen.append(allowed.index(shown(bytes(part.memory))))
        at += 1
    assert came_out > 15
    assert seen == sorted(seen)
    assert seen[0] == 0 and shown(bytes(part.memory)) == allowed[-1]


def test_a_read_that_fails_once_while_a_set_is_read_is_got_over_and_nothing_is_reverted():
    memory = before_boot()
    at, got_over = 0, 0
    while True:
        part = Faulty(bytearray(memory))
        bench = Bench(part)
        part.accesses, part.fail_at = 0, at
        try:
            bank = bench.reset()
        except HsxError:
            bank = 0
        if part.accesses <= at:
            break
        got_over += bank == 2
        assert bank in (0, 2) and shown(bytes(part.memory)) in STARTED
        at += 1
    assert got_over > 5


# ---- on a bus ---------------------------------------------------------------------------------


class Bus(I2C):
    """`fail(at, how)`: transfer `at` from now on fails: "nack", no byte is acknowledged; "half",
    the first bytes only; an errno: raised by the driver, as for a bus that is stuck."""

    def __init__(self) -> None:
        super().__init__(1)
        self.transfers = 0
        self._fail: tuple[int, str | int] | None = None

    def fail(self, at: int, how: str | int) -> None:
        self.transfers, self._fail = 0, (at, how)

    def _failing(self) -> str | int | None:
        at, self.transfers = self.transfers, self.transfers + 1
        return self._fail[1] if self._fail and self._fail[0] == at else None

    def writevto(self, addr, vector, stop=True, /):
        how = self._failing()
        if isinstance(how, int):
            raise OSError(how, "told to fail")
        if how is None:
            return super().writevto(addr, vector, stop)
        sent = b"".join(bytes(part) for part in vector)
        if how == "half" and len(sent) > 3:
            half = 2 + (len(sent) - 2) // 2
            return super().writevto(addr, (sent[:half],), stop)
        return 0

    def readfrom_into(self, addr, buf, stop=True, /):
        how = self._failing()
        if how is not None:
            raise OSError(how if isinstance(how, int) else EIO, "told to fail")
        return super().readfrom_into(addr, buf, stop)


def on_bus(memory: bytes) -> tuple[Bus, Fram, Bench]:
    bus = Bus()
    device = Fram(0x50, bytearray(memory) + bytearray(Fram.SIZE - len(memory)))
    bus.sim_attach(device)
    return bus, device, Bench(FramI2c(bus, (0x50,), SMALL.size))


@pytest.mark.parametrize(
    ("how", "number"), [("nack", EIO), ("half", EIO), (EIO, EIO), (110, EIO), (ENODEV, ENODEV)]
)
def test_a_transfer_that_fails_in_an_update_comes_out_and_leaves_old_or_new(how, number):
    memory = before_update()
    at, came_out = 0, 0
    while True:
        bus, device, bench = on_bus(memory)
        bus.fail(at, how)
        try:
            update(bench)
        except HsxError as error:
            assert error.errno == number
            came_out += 1
        if bus.transfers <= at:
            break
        assert shown(bytes(device.memory[: SMALL.size])) in UPDATED
        at += 1
    assert came_out > 100


@pytest.mark.parametrize("how", ["nack", EIO, ENODEV, 110])
def test_a_transfer_that_fails_in_a_boot_comes_out_or_is_got_over(how):
    memory = before_boot()
    at = 0
    while True:
        bus, device, bench = on_bus(memory)
        device.memory[: SMALL.size] = memory
        bus.fail(at, how)
        try:
            restart(bench)
        except HsxError as error:
            assert error.errno in (EIO, ENODEV)
        if bus.transfers <= at:
            break
        assert shown(bytes(device.memory[: SMALL.size])) in STARTED
        at += 1
    assert at > 50


def test_an_absent_device_is_enodev_and_nothing_is_written():
    bus, device, _ = on_bus(before_update())
    before = bytes(device.memory)
    bus.sim_detach(0x50)
    store = Store(FramI2c(bus, (0x50,), SMALL.size), layout=SMALL)
    with pytest.raises(HsxError) as caught:
        store.open()
    assert errno(caught) == ENODEV
    assert not store.valid
    assert not store.poll(0)
    with pytest.raises(HsxError) as caught:
        store.commit.choose(True)
    assert errno(caught) == ENODEV
    assert device.memory == before
    bus.sim_attach(device)
    assert store.open()
    assert boot(store, True) == 1


# ---- cells that do not keep what is written ---------------------------------------------------


class Stuck(Medium):
    """One bit of the cell at `stuck` always reads as 0, or as 1."""

    stuck, bit, level = -1, 0, 0

    def _read(self, addr: int, buf: memoryview) -> None:
        super()._read(addr, buf)
        at = self.stuck - addr
        if 0 <= at < len(buf):
            mask = 1 << self.bit
            buf[at] = buf[at] | mask if self.level else buf[at] & ~mask


@pytest.mark.requirement("P-49")
@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("bit", [0, 7])
def test_a_set_that_does_not_read_back_is_ebadmsg_and_not_committed(level, bit):
    memory = before_update()
    base = SMALL.bank_base + SMALL.bank_size
    good = Bench(Medium(bytearray(memory)))
    used = good.stage(TWO).total
    cells = good.cells[base : base + used]
    tried = 0
    for at in range(used):
        if cells[at] >> bit & 1 == level:
            continue  # the cell reads as it should
        part = Stuck(bytearray(memory))
        part.stuck, part.bit, part.level = base + at, bit, level
        bench = Bench(part)
        staging = bench.stage(TWO)
        if at in gaps(staging):
            continue
        with pytest.raises(HsxError) as caught:
            finish(staging.end())
        assert errno(caught) == EBADMSG
        with pytest.raises(HsxError) as caught:
            bench.commit.commit(staging)
        assert errno(caught) == EBADMSG
        assert bench.state.states == [CONFIRMED, EMPTY]
        assert bench.store.staging.progress == 0
        tried += 1
    assert tried > 50


def gaps(staging) -> set[int]:
    """Bytes between two images, which are nobody's."""
    found = set()
    for image, after in zip(staging.images, staging.images[1:], strict=False):
        found |= set(range(image.offset + image.length, after.offset))
    return found
