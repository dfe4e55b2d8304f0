# SPDX-License-Identifier: MIT
import pytest

from hsx.store.layout import COPY
from hsx.store.region import SubRegion
from hsx.store.wear import FOLD, Wear
from powercut.medium import Medium
from powercut.scenarios import SMALL, _one
from powercut.world import SETS, World


def regions():
    part = Medium(bytearray(4096))
    return [SubRegion(part, 0, 1024), SubRegion(part, 1024, 2048)]


def test_whole_units_are_folded_and_the_rest_stays():
    parts = regions()
    parts[0].write(0, bytes(150))
    counts = [7, 0]
    Wear(parts).fold(counts)
    assert counts == [9, 0]
    assert parts[0].written == 22


def test_a_fold_is_due_when_a_partition_was_written_much():
    parts = regions()
    wear = Wear(parts)
    assert not wear.due()
    parts[1].written = FOLD
    assert wear.due()


def test_the_first_partition_beyond_the_limit_is_named():
    wear = Wear(regions(), limit=10)
    assert wear.worn([159, 0]) == -1
    assert wear.worn([160, 0]) == 0  # 160 x 64 bytes into 1024: ten times
    assert wear.worn([0, 320]) == 1


def test_counts_stop_at_their_largest():
    parts = regions()
    parts[0].written = 640
    counts = [0xFFFFFFFF, 0]
    Wear(parts).fold(counts)
    assert counts == [0xFFFFFFFF, 0]


@pytest.mark.requirement("P-53", "P-100")
def test_store_counts_what_an_update_writes_and_keeps_it_over_a_reset():
    world = World(Medium(bytearray(b"\xff" * SMALL.size)), SMALL)
    _one(world)
    before = list(world.store.superblocks.state.wear)
    world.push("two")
    world.store.fold()
    world.reset()
    grown = [a - b for a, b in zip(world.store.superblocks.state.wear, before, strict=True)]
    image_bytes = sum(map(len, SETS["two"][1]))
    assert grown[5] >= image_bytes // 64
    assert grown[0] >= 4 * COPY * 96 // 128 // 64
    assert grown[4] == 0


def test_a_worn_partition_is_told_once():
    told = []
    world = World(Medium(bytearray(b"\xff" * SMALL.size)), SMALL)
    _one(world)
    store = world.store
    store._emit = lambda kind, pid, data: told.append((kind, data.get("partition")))
    store.wear._limit = 1
    store.fold()
    store.fold()
    assert told == [("warning", "superblocks")]
