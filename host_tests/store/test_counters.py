# SPDX-License-Identifier: MIT
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsx.errors import EACCES, EEXIST, ENODEV, ENOENT, ENOSPC, EPERM, HsxError
from hsx.store.counters import Counters
from powercut.medium import Medium
from store.bench import Faulty, errno

COUNT = 3
RECORD = 16
KEYS = [b"key one!", b"key two!", b"key 3333"]
LAST = 0xFFFFFFFF


def opened(memory: bytearray, part: type[Medium] = Medium) -> Counters:
    counters = Counters(part(memory), COUNT)
    counters.open()
    return counters


def made(*enrolled: tuple[bytes, int]) -> tuple[Counters, bytearray]:
    memory = bytearray(b"\xff" * 2 * COUNT * RECORD)
    counters = Counters(Medium(memory), COUNT)
    counters.clear()
    counters.open()
    for key, counter in enrolled:
        counters.enrol(key, counter)
    return counters, memory


def refused(call, *arguments) -> int:
    """The errno of a call that must be refused and write nothing."""
    part = call.__self__._region
    before = bytes(part.memory)
    with pytest.raises(HsxError) as caught:
        call(*arguments)
    assert part.memory == before
    return errno(caught)


@given(st.lists(st.integers(0, LAST), min_size=1, max_size=30))
def test_only_what_is_higher_than_all_before_is_taken_resets_or_not(seen):
    counters, memory = made((KEYS[0], 0), (KEYS[1], 9))
    highest = 0
    for number, counter in enumerate(seen):
        if counter > highest:
            counters.advance(KEYS[0], counter)
            highest = counter
        else:
            assert refused(counters.advance, KEYS[0], counter) == EPERM
        if number % 3 == 0:
            counters = opened(memory)
        assert counters.value(KEYS[0]) == highest
        assert counters.value(KEYS[1]) == 9


@pytest.mark.parametrize("counter", [5, 4, 0, -1, LAST + 1])
def test_a_counter_that_is_not_higher_is_eperm(counter):
    counters, _ = made((KEYS[0], 5))
    assert refused(counters.advance, KEYS[0], counter) == EPERM


def test_the_last_counter_is_the_last():
    counters, _ = made((KEYS[0], 5))
    counters.advance(KEYS[0], LAST)
    assert refused(counters.advance, KEYS[0], LAST) == EPERM


def test_a_key_without_a_place_is_enoent_and_a_second_enrolment_eexist():
    counters, _ = made((KEYS[0], 5))
    assert refused(counters.value, KEYS[1]) == ENOENT
    assert refused(counters.advance, KEYS[1], 1) == ENOENT
    assert refused(counters.enrol, KEYS[0]) == EEXIST


def test_one_key_too_many_is_enospc():
    counters, _ = made(*[(key, 0) for key in KEYS])
    assert refused(counters.enrol, b"too many") == ENOSPC


def test_before_it_is_opened_everything_is_enodev():
    counters = Counters(Medium(bytearray(2 * COUNT * RECORD)), COUNT)
    assert refused(counters.value, KEYS[0]) == ENODEV
    assert refused(counters.enrol, KEYS[0]) == ENODEV
    assert refused(counters.advance, KEYS[0], 1) == ENODEV


# ---- C1: two records --------------------------------------------------------------------------


@pytest.mark.parametrize("record", [0, 1])
def test_every_flipped_bit_of_one_record_is_repaired(record):
    _, good = made((KEYS[0], 5), (KEYS[1], 7))
    for bit in range(8 * RECORD):
        memory = bytearray(good)
        memory[record * RECORD + bit // 8] ^= 1 << bit % 8
        counters = opened(memory)
        assert counters.value(KEYS[0]) == 5
        assert counters.lost == 0
        assert memory == good


def test_a_key_whose_records_are_both_lost_is_refused_and_never_begins_at_0():
    _, memory = made((KEYS[0], 5), (KEYS[1], 7))
    memory[0] ^= 1
    memory[RECORD] ^= 1
    counters = opened(memory)
    assert counters.lost == 1
    assert refused(counters.value, KEYS[0]) == EACCES
    assert refused(counters.advance, KEYS[0], 6) == EACCES
    assert refused(counters.enrol, KEYS[0]) == EACCES
    assert refused(counters.enrol, KEYS[2]) == EACCES
    counters.advance(KEYS[1], 8)  # whose records are there


def cuts(memory: bytearray, run) -> list[bytearray]:
    """The memories that a power cut at every byte of a run leaves."""
    counters = opened(bytearray(memory))
    part = counters._region
    before, part.log = bytes(part.memory), []
    run(counters)
    found, done = [], bytearray(before)
    for at, data in part.log:
        for cut in range(len(data)):
            torn = bytearray(done)
            torn[at : at + cut] = data[:cut]
            found.append(torn)
        done[at : at + len(data)] = data
    return [*found, done]


def test_a_cut_leaves_the_old_or_the_new_counter_and_both_records_equal():
    _, good = made((KEYS[0], 5), (KEYS[1], 7))
    seen = []
    for memory in cuts(good, lambda counters: counters.advance(KEYS[0], 0x01020304)):
        counters = opened(memory)
        seen.append(counters.value(KEYS[0]))
        assert counters.lost == 0
        assert memory[:RECORD] == memory[RECORD : 2 * RECORD]
        assert counters.value(KEYS[1]) == 7
    assert set(seen) == {5, 0x01020304}
    assert seen == sorted(seen)


def test_a_cut_enrolment_is_there_or_can_be_done_again():
    _, good = made((KEYS[1], 7))
    for memory in cuts(good, lambda counters: counters.enrol(KEYS[0], 5)):
        counters = opened(memory)
        assert counters.lost == 0
        try:
            counters.enrol(KEYS[0], 5)
        except HsxError as error:
            assert error.errno == EEXIST
        assert opened(memory).value(KEYS[0]) == 5


@pytest.mark.parametrize("kept", [0, 7, RECORD])
@pytest.mark.parametrize("fail_at", range(12))
def test_an_access_that_fails_never_lets_a_counter_go_back(fail_at, kept):
    _, memory = made((KEYS[0], 5))
    counters = Counters(Faulty(memory, kept=kept), COUNT)
    counters.open()
    part = counters._region
    part.fail_at = part.accesses + fail_at
    try:
        counters.advance(KEYS[0], 6)
    except HsxError:
        part.fail_at = None
        assert counters.value(KEYS[0]) in (5, 6)
    assert opened(memory).value(KEYS[0]) in (5, 6)


def test_opening_a_whole_table_writes_nothing():
    _, memory = made((KEYS[0], 5))
    part = Medium(memory)
    Counters(part, COUNT).open()
    assert part.log == []
