# SPDX-License-Identifier: MIT
import struct

import pytest

from hsx.errors import EBUSY, ENODEV, ENOTSUP, EPERM, HsxError
from hsx.store.layout import COPY, layout_of
from hsx.store.record import seal
from hsx.store.store import CONFIRMATION, Store
from hsx.store.wear import FOLD, UNIT
from powercut.medium import Medium
from store.bench import ONE, SMALL, TWO, Bench, entries, errno

SIZES = [0x2000, 0x8000, 0x20000, 0x80000]
KEY = b"trusted1"


def blank(size: int) -> Medium:
    return Medium(bytearray(b"\xff" * size))


def superblock_writes(part: Medium) -> int:
    return sum(at < 2 * COPY for at, _ in part.log)


# ---- open and format --------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("fill", [0xFF, 0x00, 0x5A])
def test_a_part_without_a_superblock_is_no_store_and_is_not_written(size, fill):
    part = Medium(bytearray([fill]) * size)
    store = Store(part)
    assert store.open() is False
    assert not store.valid
    assert part.log == []
    assert not store.poll(0)
    for call in (store.status, store.slots):
        with pytest.raises(HsxError) as caught:
            call()
        assert errno(caught) == ENODEV


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("fill", [0xFF, 0x00, 0x5A])
def test_a_formatted_part_is_an_empty_store_of_its_size(size, fill):
    part = Medium(bytearray([fill]) * size)
    Store(part).format(CONFIRMATION)
    store = Store(part)
    assert store.open()
    assert store.status() == {
        "generation": 2,
        "active": "none",
        "state": "none",
        "attempts": 0,
        "floor": 0,
        "trial": 0,
        "confirmed": 0,
    }
    assert [(s["state"], s["active"], s["images"]) for s in store.slots()] == [
        ("empty", False, [])
    ] * 2
    assert store.values.keys() == []
    assert (store.values.damaged, store.counters.lost) == (0, 0)
    for key in range(1, layout_of(size).values + 1):
        store.values.save(key, key)
    assert Store(part).open()


@pytest.mark.parametrize("size", SIZES)
def test_a_format_leaves_the_banks_alone(size):
    part = blank(size)
    Store(part).format(CONFIRMATION)
    base = layout_of(size).bank_base
    assert not base or part.memory[base:] == b"\xff" * (size - base)


@pytest.mark.parametrize("said", ["", "yes", "erase", CONFIRMATION.upper(), CONFIRMATION + "!"])
@pytest.mark.parametrize("formatted", [False, True])
def test_a_format_that_is_not_confirmed_is_eperm_and_writes_nothing(said, formatted):
    part = Bench().part if formatted else blank(SMALL.size)
    part.log.clear()
    with pytest.raises(HsxError) as caught:
        Store(part, layout=SMALL).format(said)
    assert errno(caught) == EPERM
    assert part.log == []


def test_a_format_ends_a_staging():
    bench = Bench()
    staging = bench.commit.stage(entries(ONE))
    for index, data in enumerate(ONE):
        staging.write(index, 0, memoryview(data))
    bench.store.format(CONFIRMATION)
    with pytest.raises(HsxError) as caught:
        bench.commit.commit(staging)
    assert errno(caught) == EBUSY


def test_a_format_forgets_everything_but_its_ids():
    bench = Bench()
    bench.confirmed(ONE, 5, 5)
    bench.store.values.save(1, 0x1111)
    bench.store.values.change(2, 0x2222, 0, 10)
    bench.store.counters.enrol(KEY, 9)
    generation = bench.state.generation
    bench.store.format(CONFIRMATION)
    for _ in range(2):
        assert bench.state.generation > generation
        assert (bench.state.active, bench.state.states, bench.state.floor) == (0, [0, 0], 0)
        assert bench.state.decl > generation
        assert bench.store.values.keys() == []
        assert not bench.store.poll(1000)
        bench.store.counters.enrol(KEY, 0)
        assert bench.store.counters.value(KEY) == 0
        assert bench.commit.stage(entries(ONE)).resume_at(0) == 0
        bench.store.format(CONFIRMATION)


@pytest.mark.parametrize(("at", "byte"), [(4, 2), (5, 17)])
@pytest.mark.parametrize("copy", [0, 1])
def test_another_version_or_size_is_enotsup_for_open_and_format_and_is_not_written(at, byte, copy):
    part = Bench().part
    raw = part.memory[copy * COPY : copy * COPY + 96]
    raw[at] = byte
    seal(raw)
    part.memory[copy * COPY : copy * COPY + 96] = raw
    part.log.clear()
    store = Store(part, layout=SMALL)
    for call in (store.open, lambda: store.format(CONFIRMATION)):
        with pytest.raises(HsxError) as caught:
            call()
        assert errno(caught) == ENOTSUP
        assert not store.valid
    assert part.log == []


def test_a_part_of_a_size_without_layout_is_enotsup():
    with pytest.raises(HsxError) as caught:
        Store(blank(0x10000))
    assert errno(caught) == ENOTSUP


def test_opening_a_whole_store_writes_nothing():
    bench = Bench()
    bench.confirmed(ONE)
    bench.store.values.save(1, 1)
    bench.store.counters.enrol(KEY, 9)
    bench.part.log.clear()
    bench.reopen()
    assert bench.part.log == []
    assert bench.events == []


@pytest.mark.requirement("P-57")
def test_damaged_records_are_told_once_when_the_store_is_opened():
    bench = Bench()
    bench.store.counters.enrol(KEY, 9)
    for record in (0, 1):
        bench.part.memory[SMALL.counters_base + 16 * record] ^= 1
    bench.reopen()
    assert bench.events == [("warning", {"code": "EBADMSG", "detail": "damaged records"})]


# ---- what is shown ----------------------------------------------------------------------------


def test_status_and_slots_say_what_there_is():
    bench = Bench()
    bench.confirmed(ONE, 3, 2)
    bench.push(TWO, 3)
    bench.reset()
    status = bench.store.status()
    assert (status["active"], status["state"]) == ("B", "trial")
    assert (status["attempts"], status["floor"]) == (1, 2)
    assert status["trial"] > status["confirmed"] > 0
    first, second = bench.store.slots()
    assert (first["bank"], first["state"], first["active"]) == ("A", "confirmed", False)
    assert (second["bank"], second["state"], second["active"]) == ("B", "trial", True)
    assert [image["length"] for image in second["images"]] == [len(data) for data in TWO]
    assert second["digest"] == bench.state.digests[1]


def test_a_bank_whose_directory_is_damaged_has_no_images_to_show():
    bench = Bench()
    bench.confirmed(ONE)
    bench.part.memory[SMALL.bank_base + 20] ^= 1
    assert bench.store.slots()[0]["images"] is None


def test_looking_does_not_disturb_a_staging():
    bench = Bench()
    bench.confirmed(ONE)
    staging = bench.commit.stage(entries(TWO))
    for _ in staging.carry_over():
        bench.store.slots()
    for index, data in enumerate(TWO):
        staging.write(index, 0, memoryview(data))
        bench.store.slots()
    for _ in staging.end():
        bench.store.slots()
    bench.commit.commit(staging)
    assert bench.held(2) == TWO


# ---- poll and wear ----------------------------------------------------------------------------


def test_a_poll_is_one_write_at_most_and_says_whether_it_was():
    bench = Bench()
    for key in (1, 2, 3):
        bench.store.values.change(key, key, 0, 10)
    bench.store.wear._regions[3].written = FOLD
    work = []
    for _ in range(6):
        bench.part.log.clear()
        did = bench.store.poll(100)
        assert len(bench.part.log) == did
        work.append(did)
    assert work == [True] * 4 + [False] * 2


def test_wear_is_folded_after_so_many_bytes_and_rides_on_other_writes_for_nothing():
    bench = Bench()
    values = bench.store.wear._regions[3]
    bench.store.fold()
    base = bench.state.wear[3]
    while not bench.store.values.known:
        bench.store.poll(0)
    for _ in range((FOLD - values.written) // 16):
        assert not bench.store.poll(0)
        values.write(0, bytes(16))
    bench.part.log.clear()
    assert bench.store.poll(0)
    assert superblock_writes(bench.part) == 1
    assert bench.state.wear[3] == base + FOLD // UNIT
    bench.reopen()
    assert bench.state.wear[3] == base + FOLD // UNIT
    for _ in range(10):
        bench.store.wear._regions[3].write(0, bytes(UNIT))
    bench.confirmed(ONE)
    assert bench.state.wear[3] == base + FOLD // UNIT + 10


def test_a_fold_loses_no_bytes_below_a_unit():
    bench = Bench()
    bench.store.fold()
    base, values = bench.state.wear[3], bench.store.wear._regions[3]
    for _ in range(UNIT):
        values.write(0, b"x")
        bench.store.fold()
    assert bench.state.wear[3] == base + 1


def test_each_partition_counts_for_itself():
    bench = Bench()
    bench.store.fold()
    before = list(bench.state.wear)
    for at, region in enumerate(bench.store.wear._regions[1:], 1):
        for _ in range(at):
            region.write(0, bytes(UNIT))
    bench.store.fold()
    grown = [new - old for new, old in zip(bench.state.wear, before, strict=True)]
    assert grown[1:] == [1, 2, 3, 4, 5]
    assert grown[0] in (1, 2)  # the first fold's own 96 bytes, and what was left before it


@pytest.mark.requirement("P-53")
@pytest.mark.parametrize("partition", range(6))
def test_a_worn_partition_is_told_by_name_once(partition):
    bench = Bench()
    bench.state.wear[partition] = 0xFFFFFFFF
    bench.store.wear._limit = 0xFFFFFFFF * UNIT // SMALL.partitions()[partition][2]
    bench.store.fold()
    bench.store.fold()
    name = SMALL.partitions()[partition][0]
    assert bench.events == [("warning", {"detail": "partition is worn", "partition": name})]


def test_a_wear_count_stands_where_the_copies_may_differ():
    bench = Bench()
    bench.store.fold()
    bench.part.log.clear()
    bench.store.wear._regions[3].write(0, bytes(UNIT))
    bench.store.fold()
    bench.part.log.clear()
    bench.reopen()
    assert bench.part.log == []
    assert struct.unpack_from("<I", bench.part.memory, 80) != struct.unpack_from(
        "<I", bench.part.memory, COPY + 80
    )
