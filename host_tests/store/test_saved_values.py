# SPDX-License-Identifier: MIT
import struct

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hsx.errors import EINVAL, ENODEV, ENOSPC, HsxError
from hsx.store.record import seal
from hsx.store.saved_values import SLOT
from powercut.medium import Medium
from store.bench import ONE, SMALL, TWO, Bench, Faulty, errno

KEYS = (1, 2, 3, 0xFFFE)  # as many as SMALL has places
BITS = st.integers(0, 0xFFFF)
TRIPLE = 3 * SLOT


def slots(bench: Bench, place: int = 0) -> list:
    return bench.store.values.slots(place)


class Values(RuleBasedStateMachine):
    """Against a dict of values, one more for what a revert gives back, and one of what waits."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench()
        self.now = 0
        self.saved: dict[int, int] = {}
        self.before_trial: dict[int, int] | None = None
        self.waiting: dict[int, tuple[int, int]] = {}  # bits, due
        self.sets = 0

    @property
    def values(self):
        return self.bench.store.values

    @rule(key=st.sampled_from(KEYS), bits=BITS)
    def save(self, key, bits):
        self.values.save(key, bits)
        self.saved[key] = bits

    @rule(key=st.sampled_from(KEYS), bits=BITS, debounce=st.sampled_from([0, 1, 100, 1000]))
    def change(self, key, bits, debounce):
        self.values.change(key, bits, self.now, debounce)
        if debounce:
            due = self.waiting.get(key, (0, self.now + debounce))[1]
            self.waiting[key] = (bits, due)
        else:
            self.waiting.pop(key, None)
            self.saved[key] = bits

    @rule(ms=st.integers(0, 500))
    def time(self, ms):
        self.now += ms
        for _ in KEYS:
            self.values.poll(self.now)
        for key, (bits, due) in list(self.waiting.items()):
            if due <= self.now:
                self.saved[key] = bits
                del self.waiting[key]

    @rule()
    def flush(self):
        self.values.flush()
        self.saved |= {key: bits for key, (bits, _) in self.waiting.items()}
        self.waiting.clear()

    @precondition(lambda self: self.before_trial is None)
    @rule()
    def trial(self):
        self.flush()  # a commit does it by itself
        self.sets += 1
        self.bench.push([bytes([self.sets % 256, self.sets // 256]) * 9])
        self.before_trial = dict(self.saved)

    @precondition(lambda self: self.before_trial is not None)
    @rule()
    def confirm(self):
        self.bench.commit.confirm()
        self.before_trial = None

    @precondition(lambda self: self.before_trial is not None)
    @rule()
    def revert(self):
        self.bench.commit.revert()
        self.saved, self.before_trial = self.before_trial, None
        self.waiting.clear()

    @rule()
    def reset(self):
        self.bench.reopen()
        self.waiting.clear()

    @rule()
    def purge(self):
        if self.before_trial is None:
            self.bench.commit.purge()

    @invariant()
    def what_is_restored_is_what_was_changed_last(self):
        known = self.saved | {key: bits for key, (bits, _) in self.waiting.items()}
        for key in KEYS:
            assert self.values.restore(key) == known.get(key)
            assert self.values.saved(key) == self.saved.get(key)
        assert sorted(self.values.keys()) == sorted(self.saved)

    @invariant()
    def nothing_is_damaged(self):
        assert self.values.damaged == 0


TestValues = Values.TestCase
TestValues.settings = settings(max_examples=60, stateful_step_count=40)


# ---- slots (V1 to V4) -------------------------------------------------------------------------


def test_a_save_is_one_write_of_one_slot_and_its_equal_none():
    bench = Bench()
    bench.part.log.clear()
    bench.store.values.save(1, 0x3C00)
    assert [len(data) for _, data in bench.part.log] == [SLOT]
    bench.store.values.save(1, 0x3C00)
    assert len(bench.part.log) == 1


@pytest.mark.requirement("P-53")
def test_saves_go_round_the_slots_and_never_onto_the_value():
    bench = Bench()
    places = []
    for bits in range(1, 10):
        bench.part.log.clear()
        bench.store.values.save(1, bits)
        places.append((bench.part.log[0][0] - SMALL.values_base) // SLOT)
    assert places == [0, 1, 2] * 3


def test_on_trial_what_a_revert_gives_back_is_never_written_over():
    bench = Bench()
    bench.confirmed(ONE)
    bench.store.values.save(1, 0x1111)
    bench.push(TWO)
    for bits in range(0x2000, 0x2010):
        bench.store.values.save(1, bits)
        assert sum(slot is not None and slot[1] == 0x1111 for slot in slots(bench)) == 1
        assert bench.store.values.restore(1) == bits
    bench.commit.revert()
    assert bench.store.values.restore(1) == 0x1111


def test_a_revert_writes_no_slot():
    bench = Bench()
    bench.confirmed(ONE)
    bench.store.values.save(1, 0x1111)
    bench.push(TWO)
    bench.store.values.save(1, 0x2222)
    bench.part.log.clear()
    bench.commit.revert()
    assert all(at < SMALL.staging_base for at, _ in bench.part.log)
    assert bench.store.values.restore(1) == 0x1111


def test_a_commit_blanks_what_an_earlier_trial_left_behind():
    """V4: else the tag of the reverted trial would count when `ok` passes it."""
    bench = Bench()
    bench.store.values.save(1, 0x1111)
    bench.push(ONE)
    bench.store.values.save(1, 0x2222)
    bench.commit.revert()
    assert [slot and slot[4] for slot in slots(bench)] == [True, False, None]
    bench.confirmed(TWO)
    assert [slot and slot[1] for slot in slots(bench)] == [0x1111, None, None]
    assert bench.store.values.restore(1) == 0x1111


def test_a_value_first_saved_on_trial_is_gone_with_it():
    bench = Bench()
    bench.push(ONE)
    bench.store.values.save(7, 0x2222)
    bench.commit.revert()
    assert bench.store.values.restore(7) is None
    assert bench.store.values.keys() == []
    bench.store.values.save(7, 0x3333)
    assert bench.store.values.restore(7) == 0x3333


@pytest.mark.requirement("P-90")
def test_every_torn_save_leaves_the_value_before():
    bench = Bench()
    for bits in (0x1111, 0x2222, 0x3333, 0x4444):
        bench.store.values.save(1, bits)
    before = bench.cells
    bench.part.log.clear()
    bench.store.values.save(1, 0x5555)
    ((at, data),) = bench.part.log
    for cut in range(SLOT + 1):
        memory = bytearray(before)
        memory[at : at + cut] = data[:cut]
        again = Bench(Medium(memory)).store.values
        assert again.restore(1) == (0x5555 if bytes(memory) == bench.cells else 0x4444), cut


@pytest.mark.requirement("P-57")
def test_every_flipped_bit_of_the_value_gives_the_save_before_and_is_counted():
    bench = Bench()
    bench.store.values.save(1, 0x1111)
    bench.store.values.save(1, 0x2222)
    for bit in range(8 * SLOT):
        memory = bytearray(bench.cells)
        memory[SMALL.values_base + SLOT + bit // 8] ^= 1 << bit % 8
        again = Bench(Medium(memory))
        assert again.store.values.restore(1) == 0x1111
        assert again.store.values.damaged == 1
        again.store.poll(0)
        assert again.events == [("warning", {"code": "EBADMSG", "detail": "damaged records"})]
        again.store.values.save(1, 0x3333)
        assert again.store.values.restore(1) == 0x3333


def test_a_key_whose_slots_are_all_damaged_has_no_value_and_gets_one_again():
    bench = Bench()
    bench.store.values.save(1, 0x1111)
    bench.part.memory[SMALL.values_base] ^= 4
    bench.reopen()
    assert bench.store.values.restore(1) is None
    bench.store.values.save(1, 0x2222)
    bench.reopen()
    assert bench.store.values.restore(1) == 0x2222


@pytest.mark.parametrize("key", [0, 0xFFFF])
def test_a_whole_slot_of_a_key_that_cannot_be_does_not_count(key):
    bench = Bench()
    slot = bytearray(SLOT)
    struct.pack_into("<HHII", slot, 0, key, 0x1111, 1, 0)
    seal(slot)
    bench.part.memory[SMALL.values_base : SMALL.values_base + SLOT] = slot
    bench.reopen()
    assert bench.store.values.keys() == []
    assert bench.store.values.damaged == 1
    for free in KEYS:
        bench.store.values.save(free, 1)


# ---- keys and room ----------------------------------------------------------------------------


@pytest.mark.requirement("P-54")
@pytest.mark.parametrize("key", [0, 0xFFFF, -1, 0x10000])
@pytest.mark.parametrize("debounce", [0, 100])
def test_a_key_that_cannot_be_is_einval(key, debounce):
    bench = Bench()
    before = bench.cells
    with pytest.raises(HsxError) as caught:
        bench.store.values.change(key, 1, 0, debounce)
    assert errno(caught) == EINVAL
    assert not bench.store.values.poll(1000)
    assert bench.cells == before


@pytest.mark.parametrize("debounce", [0, 100])
def test_one_key_too_many_is_enospc_and_the_others_go_on(debounce):
    bench = Bench()
    for key in KEYS:
        bench.store.values.save(key, key)
    with pytest.raises(HsxError) as caught:
        bench.store.values.change(9, 1, 0, debounce)
    assert errno(caught) == ENOSPC
    bench.store.values.change(KEYS[0], 77, 0, debounce)
    bench.store.values.flush()
    assert bench.store.values.restore(KEYS[0]) == 77


def test_keys_that_wait_have_their_places_and_a_commit_can_save_them():
    bench = Bench()
    for key in KEYS[:-1]:
        bench.store.values.save(key, key)
    bench.store.values.change(8, 0x1111, 0, 100)
    for change in (
        lambda: bench.store.values.change(9, 0x2222, 0, 100),
        lambda: bench.store.values.save(9, 0x2222),
    ):
        with pytest.raises(HsxError) as caught:
            change()
        assert errno(caught) == ENOSPC
    assert bench.store.values.keys() == list(KEYS[:-1])
    bench.push(ONE)
    assert bench.store.values.restore(8) == 0x1111


def test_without_a_store_nothing_is_saved():
    bench = Bench()
    bench.store.superblocks.valid = False
    before = bench.cells
    with pytest.raises(HsxError) as caught:
        bench.store.values.save(1, 1)
    assert errno(caught) == ENODEV
    assert bench.cells == before


# ---- debounce (P-56) --------------------------------------------------------------------------


@pytest.mark.requirement("P-56")
def test_changes_within_the_debounce_time_are_one_save_of_the_last():
    bench = Bench()
    bench.part.log.clear()
    for now, bits in ((0, 0x1111), (50, 0x2222), (99, 0x3333)):
        bench.store.values.change(1, bits, now, 100)
        assert not bench.store.poll(now)
    assert bench.store.poll(100)
    assert not bench.store.poll(1000)
    assert len(bench.part.log) == 1
    assert bench.store.values.restore(1) == 0x3333


def test_a_value_that_comes_back_within_the_time_costs_no_write():
    bench = Bench()
    bench.store.values.save(1, 0x1111)
    bench.part.log.clear()
    bench.store.values.change(1, 0x2222, 0, 100)
    bench.store.values.change(1, 0x1111, 50, 100)
    bench.store.poll(100)
    assert bench.part.log == []


def test_a_change_at_once_takes_back_the_one_that_waits():
    bench = Bench()
    bench.store.values.change(1, 0x1111, 0, 100)
    bench.store.values.change(1, 0x2222, 10)
    assert not bench.store.poll(1000)
    assert bench.store.values.restore(1) == 0x2222


def test_the_time_may_wrap():
    bench = Bench()
    late = (1 << 29) - 50
    bench.store.values.change(1, 0x1111, late, 100)
    assert not bench.store.poll((late + 99) % (1 << 29))
    assert bench.store.poll((late + 100) % (1 << 29))


def test_each_poll_saves_one_value():
    bench = Bench()
    for key in KEYS:
        bench.store.values.change(key, key, 0, 10)
    counts = []
    for _ in range(5):
        bench.part.log.clear()
        bench.store.poll(10)
        counts.append(len(bench.part.log))
    assert counts == [1, 1, 1, 1, 0]


@pytest.mark.requirement("P-56")
def test_closing_saves_what_waits():
    bench = Bench()
    bench.store.values.change(1, 0x1111, 0, 100000)
    bench.store.close()
    bench.reopen()
    assert bench.store.values.restore(1) == 0x1111


def test_a_save_that_fails_is_told_and_tried_again_after_a_second():
    bench = Bench(Faulty(bytearray(b"\xff" * SMALL.size)))
    bench.store.values.change(1, 0x1111, 0, 10)
    bench.part.fail_at = bench.part.accesses + 1  # the write behind the look
    assert not bench.store.poll(10)
    assert bench.events == [("warning", {"code": "EIO", "detail": "store write failed"})]
    assert not bench.store.poll(1009)
    assert bench.store.poll(1010)
    assert bench.store.values.restore(1) == 0x1111


@pytest.mark.requirement("P-93")
def test_occupancy_counts_each_key_once_and_after_a_new_start_too():
    store = Bench().store
    places = store.layout.values
    for key in (1, 2, 1):
        store.values.save(key, key)
    store.values.change(3, 7, 0, 1000)
    store.values.change(2, 7, 0, 1000)
    assert store.values.occupancy() == 100 * 3 // places
    assert store.open()
    while store.poll(0):
        pass
    assert store.values.occupancy() == 100 * 2 // places
