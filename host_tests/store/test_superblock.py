# SPDX-License-Identifier: MIT
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsx.errors import EIO, ENODEV, ENOSPC, ENOTSUP, HsxError
from hsx.store.layout import COPY
from hsx.store.record import seal, sealed
from hsx.store.region import SubRegion
from hsx.store.superblock import SIZE, State, Superblocks, aside
from hsx.store.wear import Wear
from powercut.medium import Medium
from store.bench import Faulty, errno

LOG2 = 12
U8, U32 = st.integers(0, 0xFF), st.integers(0, 0xFFFFFFFF)


def opened(part: Medium) -> Superblocks:
    region = SubRegion(part, 0, 2 * COPY)
    blocks = Superblocks(region, LOG2, Wear([region]))
    blocks.open()
    return blocks


def made(part: Medium | None = None) -> Superblocks:
    """Both copies of a new store: generations 1 and 2."""
    part = part or Medium(bytearray(b"\xff" * 2 * COPY))
    blocks = opened(part)
    blocks.set_aside()
    blocks.create()
    part.log.clear()
    return blocks


def part_of(blocks: Superblocks) -> Medium:
    return blocks._region._parent


def change(memory: bytearray, copy: int, at: int, data: bytes) -> None:
    """Changes bytes of a copy, which stays valid."""
    raw = memory[copy * COPY : copy * COPY + SIZE]
    raw[at : at + len(data)] = data
    seal(raw)
    memory[copy * COPY : copy * COPY + SIZE] = raw


def generation(number: int) -> bytes:
    return struct.pack("<I", number)


def written_copies(part: Medium) -> list[int]:
    """Which copies were written, in order."""
    assert all(at in (0, COPY) and len(data) == SIZE for at, data in part.log)
    return [at // COPY for at, _ in part.log]


@given(
    small=st.tuples(U8, U8, U8, U8),
    digests=st.lists(st.binary(min_size=16, max_size=16), min_size=2, max_size=2),
    large=st.tuples(U32, U32, U32, U32, U32),
    wear=st.lists(U32, min_size=6, max_size=6),
)
def test_a_copy_says_what_went_into_it(small, digests, large, wear):
    state = State()
    state.active, state.states, state.attempts = small[0], list(small[1:3]), small[3]
    state.digests, state.wear = digests, wear
    state.generation, state.floor, state.open, state.ok, state.decl = large
    buf = bytearray(SIZE)
    state.pack_into(buf, LOG2)
    read = State()
    read.unpack(buf)
    assert vars(read) == vars(state)
    assert sealed(buf)


# ---- R2: put ----------------------------------------------------------------------------------


def test_a_change_goes_into_the_copy_not_in_use_and_then_into_the_other():
    blocks = made()
    part = part_of(blocks)
    blocks.state.floor = 9
    blocks.put()
    assert written_copies(part) == [0, 1]
    assert [struct.unpack_from("<I", data, 8)[0] for _, data in part.log] == [3, 4]
    assert opened(Medium(part.memory)).state.floor == 9
    differ = {at for at in range(SIZE) if part.memory[at] != part.memory[COPY + at]}
    assert differ and all(8 <= at < 12 or at >= 68 for at in differ)  # generation, wear and CRC


def test_an_attempt_or_a_fold_is_one_write_and_the_copies_take_turns():
    blocks = made()
    for attempts in (1, 2, 3):
        blocks.state.attempts = attempts
        blocks.put(once=True)
    assert written_copies(part_of(blocks)) == [0, 1, 0]
    assert opened(part_of(blocks)).state.attempts == 3


def test_each_write_raises_the_generation():
    blocks = made()
    seen = [blocks.state.generation]
    for once in (False, True, False):
        blocks.put(once)
        seen.append(blocks.state.generation)
    assert seen == [2, 4, 5, 7]


def test_generations_that_are_used_up_are_refused_and_nothing_is_written():
    blocks = made()
    part = part_of(blocks)
    change(part.memory, 1, 8, generation(0xFFFFFF00))
    change(part.memory, 0, 8, generation(0xFFFFFEFF))
    blocks = opened(part)
    before = bytes(part.memory)
    blocks.state.floor = 9
    with pytest.raises(HsxError) as caught:
        blocks.put()
    assert errno(caught) == ENOSPC
    assert part.memory == before
    assert blocks.state.floor == 0


@pytest.mark.parametrize("call", ["put", "require"])
def test_without_a_store_there_is_nothing_to_change(call):
    part = Medium(bytearray(b"\xff" * 2 * COPY))
    blocks = opened(part)
    with pytest.raises(HsxError) as caught:
        getattr(blocks, call)()
    assert errno(caught) == ENODEV
    assert part.log == []


# ---- R3: what is looked at before, and a medium that fails ------------------------------------


@pytest.mark.parametrize("once", [False, True])
def test_a_copy_in_use_that_went_bad_is_the_first_target_and_both_are_written(once):
    blocks = made()
    part = part_of(blocks)
    part.memory[COPY + 30] ^= 1  # copy 1 is in use
    blocks.state.floor = 9
    blocks.put(once)
    assert written_copies(part) == [1, 0]
    part.log.clear()
    assert opened(part).state.floor == 9
    assert part.log == []


def test_a_first_target_that_went_bad_before_the_second_write_is_written_again():
    def rot(count: int) -> None:
        if count == 1:
            part.memory[30] ^= 1

    memory = bytearray(part_of(made()).memory)
    part = Medium(memory, written_hook=rot)
    blocks = opened(part)
    blocks.state.floor = 9
    blocks.put()
    assert written_copies(part) == [0, 0, 1]


def test_a_copy_that_does_not_read_back_is_eio():
    class Worn(Medium):
        def _write(self, addr, buf):
            super()._write(addr, buf)
            self.memory[COPY + 30] ^= 1

    blocks = opened(Worn(bytearray(part_of(made()).memory)))
    part_of(blocks).memory[COPY + 30] ^= 1
    with pytest.raises(HsxError) as caught:
        blocks.put()
    assert errno(caught) == EIO


@pytest.mark.parametrize("number", [EIO, ENODEV])
@pytest.mark.parametrize("kept", [0, 1, 50, 95, 96])
@pytest.mark.parametrize("forever", [False, True])
def test_an_access_that_fails_leaves_the_old_or_the_new_and_state_says_which(
    number, kept, forever
):
    before = bytes(part_of(made()).memory)
    at = 0
    while True:
        part = Faulty(bytearray(before), None, number, forever, kept)
        blocks = opened(part)
        part.accesses, part.fail_at = 0, at
        blocks.state.floor = 9
        try:
            blocks.put()
        except HsxError as error:
            assert error.errno == number
            after = opened(Medium(bytearray(part.memory)))
            assert after.valid and after.state.floor in (0, 9)
            if blocks.valid:
                assert blocks.state.floor == after.state.floor
            else:
                assert forever
        else:
            break
        at += 1
    assert at >= 4  # two looks and two writes


# ---- R4: open ---------------------------------------------------------------------------------


def test_a_blank_part_is_no_store_and_nothing_is_written():
    part = Medium(bytearray(b"\xff" * 2 * COPY))
    assert not opened(part).valid
    assert part.log == []


@pytest.mark.parametrize(
    ("first", "second", "newest"),
    [(5, 6, 6), (6, 5, 6), (5, 5, 5), (0xFFFFFE, 0x1000000, 1 << 24)],
)
def test_the_valid_copy_with_the_highest_generation_counts(first, second, newest):
    part = Medium(bytearray(part_of(made()).memory))
    for copy, number in ((0, first), (1, second)):
        change(part.memory, copy, 8, generation(number))
        change(part.memory, copy, 48, struct.pack("<I", number))
    assert opened(part).state.floor == newest


def test_of_equal_generations_the_first_copy_counts():
    part = Medium(bytearray(part_of(made()).memory))
    for copy in (0, 1):
        change(part.memory, copy, 8, generation(5))
        change(part.memory, copy, 48, struct.pack("<I", copy))
    assert opened(part).state.floor == 0


@pytest.mark.parametrize(
    ("at", "data", "repaired"),
    [
        (6, b"\1", True),  # active
        (12, b"\2", True),  # a state
        (13, b"\2", True),
        (16, b"\1", True),  # digests
        (47, b"\1", True),
        (48, b"\1", True),  # floor
        (52, b"\1", True),  # open
        (56, b"\1", True),  # ok
        (60, b"\7", True),  # decl
        (64, b"\1", False),  # attempts
        (68, b"\7", False),  # wear
        (91, b"\7", False),
        (8, generation(4), True),  # two ahead
        (8, generation(3), True),  # two ahead of the other's 1
        (8, generation(0), False),  # one behind
    ],
)
@pytest.mark.parametrize("copy", [0, 1])
def test_copies_that_differ_in_more_than_attempts_and_wear_are_made_equal(
    at, data, repaired, copy
):
    part = Medium(bytearray(part_of(made()).memory))
    if at != 8:
        change(part.memory, copy, at, data)
    else:
        change(part.memory, 1 - copy, 8, generation(1))
        change(part.memory, copy, 8, data)
    newest = opened(Medium(bytearray(part.memory))).state
    blocks = opened(part)
    assert len(part.log) == repaired
    assert vars(blocks.state) == vars(newest)
    part.log.clear()
    opened(part)
    assert part.log == []


def test_whatever_bit_of_one_copy_flips_the_store_says_the_same_and_is_repaired():
    good = bytes(part_of(made()).memory)
    for copy in (0, 1):
        for bit in range(8 * SIZE):
            part = Medium(bytearray(good))
            part.memory[copy * COPY + bit // 8] ^= 1 << bit % 8
            state = opened(part).state
            assert (state.decl, state.active, state.generation) == (1, 0, 3 - copy)
            assert written_copies(part) == [copy]
            assert sealed(part.memory[:SIZE]) and sealed(part.memory[COPY : COPY + SIZE])


@pytest.mark.parametrize("copy", [0, 1])
@pytest.mark.parametrize(("at", "byte"), [(4, 2), (4, 0), (5, 13)])
@pytest.mark.parametrize("call", ["open", "set_aside"])
def test_a_store_of_another_version_or_size_is_not_touched(copy, at, byte, call):
    part = Medium(bytearray(part_of(made()).memory))
    change(part.memory, copy, at, bytes([byte]))
    region = SubRegion(part, 0, 2 * COPY)
    blocks = Superblocks(region, LOG2, Wear([region]))
    with pytest.raises(HsxError) as caught:
        getattr(blocks, call)()
    assert errno(caught) == ENOTSUP
    assert not blocks.valid
    assert part.log == []


def test_a_damaged_copy_is_nobody_s_version():
    part = Medium(bytearray(part_of(made()).memory))
    part.memory[4] = 2  # and the CRC does not fit
    assert opened(part).valid


# ---- F: format --------------------------------------------------------------------------------


@pytest.mark.parametrize(("first", "second"), [(7, 8), (8, 7), (-1, 8), (8, -1)])
def test_copies_are_set_aside_the_older_first_and_keep_the_highest_generation(first, second):
    part = Medium(bytearray(part_of(made()).memory))
    for copy, number in ((0, first), (1, second)):
        if number < 0:
            part.memory[copy * COPY] ^= 1
        else:
            change(part.memory, copy, 8, generation(number))
    region = SubRegion(part, 0, 2 * COPY)
    blocks = Superblocks(region, LOG2, Wear([region]))
    blocks.set_aside()
    assert written_copies(part) == ([1, 0] if second < first else [0, 1])
    assert [aside(part.memory[at : at + SIZE]) for at in (0, COPY)] == [8, 8]
    assert not opened(part).valid
    blocks.create()
    assert opened(part).state.generation == 10
    assert opened(part).state.decl == 9


@pytest.mark.parametrize("lost", [None, 0, 1])
def test_a_format_cut_between_its_two_ends_goes_on_above_the_old_generation(lost):
    part = Medium(bytearray(part_of(made()).memory))
    change(part.memory, 0, 8, generation(99))
    change(part.memory, 1, 8, generation(100))
    opened(part).set_aside()
    if lost is not None:
        part.memory[lost * COPY + 9] ^= 1
    blocks = opened(part)
    assert not blocks.valid
    blocks.set_aside()
    blocks.create()
    assert blocks.state.generation == 102
