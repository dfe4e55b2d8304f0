# SPDX-License-Identifier: MIT
"""Every operation in every state that a store can get into, against a table written by hand.

A state is (active bank, state of bank A, state of bank B). All of them are found by doing every
operation from a new store on; each step is then judged: what it gives, how often the superblock is
written, and that a refused one has written nothing.
"""

from collections.abc import Callable
from typing import NamedTuple

import pytest

from hsx.errors import EBADMSG, EBUSY, EIO, ENODEV, ENOENT, EPERM, HsxError
from hsx.store.commit import ATTEMPTS, after
from hsx.store.layout import COPY
from hsx.store.superblock import CONFIRMED, EMPTY, NO_DIGEST, REVERTED, TRIAL
from powercut.medium import Medium
from powercut.world import finish
from store.bench import ONE, SMALL, THREE, TWO, Bench, Faulty, entries, errno

State = tuple[int, int, int]  # active, state of A, state of B


class Result(NamedTuple):
    """`errno`: 0 for done. `writes`: of superblock copies."""

    errno: int
    state: State
    writes: int


def stage(bench: Bench) -> None:
    bench.stage(THREE)


def push(bench: Bench) -> None:
    """Stage and commit; ONE and TWO in turn, so that the two banks differ."""
    bench.push(TWO if bench.state.generation % 3 else ONE)


def stale(bench: Bench) -> None:
    """Commits a staging that was given up."""
    staging = bench.stage(THREE)
    staging.abort()
    bench.commit.commit(staging)


def reject(bench: Bench) -> None:
    finish(bench.commit.reject(bench.state.active))


OPERATIONS: dict[str, Callable[[Bench], object]] = {
    "stage": stage,
    "push": push,
    "stale": stale,
    "confirm": lambda bench: bench.commit.confirm(),
    "revert": lambda bench: bench.commit.revert(),
    "reject": reject,
    "rollback": lambda bench: bench.rollback(),
    "purge": lambda bench: bench.commit.purge(),
    "soft reset": lambda bench: bench.commit.choose(False),
    "hard reset": lambda bench: bench.commit.choose(True),
}


def with_bank(state: State, bank: int, new: int, active: int | None = None) -> State:
    banks = list(state[1:])
    banks[bank - 1] = new
    return (state[0] if active is None else active, *banks)


def expected(name: str, state: State, attempts: int) -> Result:
    """The table, by hand, from the rules R5, R8, R9 and R10."""
    active, banks = state[0], (EMPTY, *state[1:])
    other = 3 - active if active else 0
    on_trial = banks[active] == TRIAL
    fallback = other if banks[other] == CONFIRMED else 0
    refused = Result(EBUSY, state, 0)
    nothing = Result(0, state, 0)

    if name in ("stage", "push", "stale"):
        if on_trial:
            return refused
        target = other or (1 if banks[1] == EMPTY else 2 if banks[2] == EMPTY else 1)
        declared = with_bank(state, target, EMPTY)
        writes = 0 if banks[target] == EMPTY else 2
        if name == "stage":
            return Result(0, declared, writes)
        if name == "stale":
            return Result(EBUSY, declared, writes)
        return Result(0, with_bank(declared, target, TRIAL, target), writes + 2)
    reverted = Result(0, with_bank(state, active, REVERTED, fallback), 2) if active else nothing
    if name == "confirm":
        return Result(0, with_bank(state, active, CONFIRMED), 2) if on_trial else refused
    if name == "revert":
        return reverted if on_trial else refused
    if name == "reject":
        return reverted if on_trial or fallback else nothing
    if name == "rollback":
        if on_trial:
            return reverted
        return Result(0, (fallback, *state[1:]), 2) if fallback else Result(ENOENT, state, 0)
    if name == "purge":
        return refused if on_trial else Result(0, (0, EMPTY, EMPTY), 2)
    if on_trial and attempts >= ATTEMPTS:
        return reverted
    return Result(0, state, 1) if on_trial and name == "hard reset" else nothing


def state_of(bench: Bench) -> State:
    return (bench.state.active, *bench.state.states)


def perform(bench: Bench, name: str) -> Result:
    bench.part.log.clear()
    number = 0
    try:
        OPERATIONS[name](bench)
    except HsxError as error:
        number = error.errno
    writes = sum(at < 2 * COPY for at, _ in bench.part.log)
    if number and not writes and name != "stale":
        assert bench.part.log == [], f"{name} was refused and wrote"
    return Result(number, state_of(bench), writes)


def reachable() -> dict[tuple[State, int], bytes]:
    """A medium for each state and number of attempts."""
    start = Bench()
    found = {(state_of(start), 0): start.cells}
    todo = list(found)
    while todo:
        key = todo.pop()
        for name in OPERATIONS:
            bench = Bench(Medium(bytearray(found[key])))
            perform(bench, name)
            new = (state_of(bench), bench.state.attempts)
            if new not in found:
                found[new] = bench.cells
                todo.append(new)
    return found


STATES = reachable()


def test_all_states_that_the_rules_allow_are_reached_and_no_other():
    inactive = (EMPTY, CONFIRMED, REVERTED)
    allowed = {(1, a, b) for a in (TRIAL, CONFIRMED) for b in inactive}
    allowed |= {(2, a, b) for b in (TRIAL, CONFIRMED) for a in inactive}
    allowed |= {(0, a, b) for a in (EMPTY, REVERTED) for b in (EMPTY, REVERTED)}
    # With none active an empty A is taken first: no trial in B has one beside it.
    allowed.remove((2, EMPTY, TRIAL))
    assert {state for state, _ in STATES} == allowed
    assert {attempts for _, attempts in STATES} == {0, 1, 2, 3}


@pytest.mark.requirement("P-13", "P-49")
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_in_every_state_does_what_the_table_says(name):
    for (state, attempts), cells in STATES.items():
        bench = Bench(Medium(bytearray(cells)))
        result = perform(bench, name)
        assert result == expected(name, state, attempts), (name, state, attempts)
        seen = bench.cells
        bench.reopen()
        assert state_of(bench) == result.state
        assert bench.cells == seen, "the next opening had to repair something"


@pytest.mark.parametrize("name", OPERATIONS)
def test_what_is_committed_is_whole_after_every_operation(name):
    for cells in STATES.values():
        bench = Bench(Medium(bytearray(cells)))
        perform(bench, name)
        for bank in (1, 2):
            if bench.state.states[bank - 1] in (TRIAL, CONFIRMED):
                assert bench.held(bank) in (ONE, TWO)
            elif bench.state.states[bank - 1] == EMPTY:
                assert bench.state.digests[bank - 1] == NO_DIGEST


def test_ids_are_the_generation_of_the_first_write_and_only_grow():
    bench = Bench()
    for step in (push, OPERATIONS["confirm"], push, OPERATIONS["revert"], stage):
        before = bench.state.generation
        seen = (bench.state.open, bench.state.ok, bench.state.decl)
        step(bench)
        for old, new in zip(
            seen, (bench.state.open, bench.state.ok, bench.state.decl), strict=True
        ):
            assert new in (old, 0, seen[0]) or before < new <= bench.state.generation


def test_an_id_is_the_generation_of_the_first_write_of_its_operation():
    bench = Bench()
    staging = bench.stage(ONE)
    trial = bench.state.generation + 1
    bench.commit.commit(staging)
    assert (bench.state.open, bench.state.ok) == (trial, 0)
    bench.commit.confirm()
    assert (bench.state.open, bench.state.ok) == (0, trial)
    bench.confirmed(TWO)
    for declares in (bench.commit.purge, lambda: bench.stage(THREE)):
        first = bench.state.generation + 1
        declares()
        assert bench.state.decl == first
        bench.confirmed(TWO)
        bench.confirmed(ONE)


def test_the_table_in_the_code_refuses_what_has_no_row():
    allowed = {
        (operation, before)
        for operation in range(6)
        for before in (EMPTY, TRIAL, CONFIRMED, REVERTED)
        if _after(operation, before) is not None
    }
    declare, commit, confirm, revert, rejected, purge = range(6)
    assert allowed == {
        *((operation, b) for operation in (declare, purge) for b in (EMPTY, CONFIRMED, REVERTED)),
        (commit, EMPTY),
        (confirm, TRIAL),
        (revert, TRIAL),
        (rejected, CONFIRMED),
    }


def _after(operation: int, before: int) -> int | None:
    try:
        return after(operation, before)
    except HsxError as error:
        assert error.errno == EBUSY
        return None


# ---- epoch and floor --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "epoch", "floor"), [(0, 5, 3), (4, 5, 4), (5, 5, 5), (9, 5, 5), (2, 5, 3)]
)
def test_confirming_raises_the_floor_to_what_is_asked_but_not_above_the_set(asked, epoch, floor):
    bench = Bench()
    bench.confirmed(ONE, 3, 3)
    bench.confirmed(TWO, epoch, asked)
    assert bench.state.floor == floor


@pytest.mark.parametrize("epoch", [3, 4])
def test_a_set_at_the_floor_or_above_it_is_committed_boots_and_is_the_next_rollback(epoch):
    bench = Bench()
    bench.confirmed(ONE, 3, 3)
    bench.push(TWO, epoch)
    assert bench.reset() == 2
    bench.commit.confirm()
    bench.rollback()
    assert bench.reset() == 1
    bench.rollback()
    assert bench.reset() == 2


@pytest.mark.parametrize("epoch", [0, 2])
def test_a_set_below_the_floor_is_staged_and_not_committed(epoch):
    bench = Bench()
    bench.confirmed(ONE, 3, 3)
    staging = bench.stage(TWO, epoch)
    before = bench.cells
    with pytest.raises(HsxError) as caught:
        bench.commit.commit(staging)
    assert errno(caught) == EPERM
    assert bench.cells == before
    assert state_of(bench) == (1, CONFIRMED, EMPTY)


def test_a_rollback_below_the_floor_is_refused_and_such_a_set_never_boots():
    bench = Bench()
    bench.confirmed(ONE, 1)
    bench.confirmed(TWO, 5, 5)
    before = bench.cells
    with pytest.raises(HsxError) as caught:
        bench.rollback()
    assert errno(caught) == EBADMSG
    with pytest.raises(HsxError) as caught:
        bench.commit.reader(1)
    assert errno(caught) == EPERM
    assert finish(bench.commit.reject(2)) == 0
    assert bench.cells == before


def test_a_purge_keeps_floor_values_and_counters():
    bench = Bench()
    bench.confirmed(ONE, 3, 3)
    bench.store.values.save(1, 0x1234)
    bench.store.counters.enrol(b"trusted1", 7)
    bench.commit.purge()
    bench.reopen()
    assert bench.state.floor == 3
    assert bench.store.values.restore(1) == 0x1234
    assert bench.store.counters.value(b"trusted1") == 7


# ---- what is refused before anything changes --------------------------------------------------


@pytest.mark.parametrize("parts", [[], [b"x"] * 17, [bytes(SMALL.bank_size)]])
def test_a_set_that_cannot_be_staged_costs_nobody_a_rollback(parts):
    bench = Bench()
    bench.confirmed(ONE)
    bench.confirmed(TWO)
    before = bench.cells
    with pytest.raises(HsxError):
        bench.commit.stage(entries(parts))
    assert bench.cells == before
    bench.rollback()


def test_a_damaged_previous_set_is_no_rollback():
    bench = Bench()
    bench.confirmed(ONE)
    bench.confirmed(TWO)
    bench.part.memory[SMALL.bank_base + 245] ^= 1
    before = bench.cells
    with pytest.raises(HsxError) as caught:
        bench.rollback()
    assert errno(caught) == EBADMSG
    assert bench.cells == before


@pytest.mark.parametrize("name", ["stage", "confirm", "revert", "rollback", "purge", "hard reset"])
def test_without_a_store_everything_is_enodev(name):
    bench = Bench()
    bench.store.superblocks.valid = False
    before = bench.cells
    with pytest.raises(HsxError) as caught:
        OPERATIONS[name](bench)
    assert errno(caught) == ENODEV
    assert bench.cells == before


# ---- commit -----------------------------------------------------------------------------------


def test_an_incomplete_set_is_not_committed():
    bench = Bench()
    staging = bench.commit.stage(entries(ONE))
    staging.write(0, 0, memoryview(ONE[0]))
    with pytest.raises(HsxError) as caught:
        bench.commit.commit(staging)
    assert errno(caught) == EBADMSG
    assert state_of(bench) == (0, EMPTY, EMPTY)


def test_a_write_after_the_read_back_makes_the_commit_read_again():
    bench = Bench()
    staging = bench.stage(ONE)
    for _ in staging.end():
        pass
    staging.write(0, 5, memoryview(b"!"))
    with pytest.raises(HsxError) as caught:
        bench.commit.commit(staging)
    assert errno(caught) == EBADMSG


def test_a_write_during_the_read_back_does_so_too():
    bench = Bench()
    staging = bench.stage(ONE)
    steps = staging.end()
    next(steps)
    staging.write(0, 0, memoryview(b"!"))
    for _ in steps:
        pass
    assert not staging.verified
    with pytest.raises(HsxError) as caught:
        bench.commit.commit(staging)
    assert errno(caught) == EBADMSG


def test_a_staging_that_another_has_replaced_is_over():
    bench = Bench()
    old = bench.stage(ONE)
    bench.stage(TWO)
    with pytest.raises(HsxError) as caught:
        bench.commit.commit(old)
    assert errno(caught) == EBUSY
    with pytest.raises(HsxError) as caught:
        old.write(0, 0, memoryview(b"x"))
    assert errno(caught) == EBUSY


@pytest.mark.parametrize(
    "use",
    [
        lambda bench, staging: bench.commit.commit(staging),
        lambda bench, staging: staging.write(0, 0, memoryview(b"x")),
        lambda bench, staging: staging.put(0, memoryview(b"x")),
        lambda bench, staging: finish(staging.carry_over()),
        lambda bench, staging: finish(staging.end()),
    ],
    ids=["commit", "write", "put", "carry_over", "end"],
)
@pytest.mark.parametrize("beside", [False, True])
def test_a_purge_ends_the_staging_that_is_under_way(use, beside):
    bench = Bench()
    if beside:
        bench.confirmed(ONE)
    staging = bench.stage(TWO)
    bench.commit.purge()
    before = bench.cells
    with pytest.raises(HsxError) as caught:
        use(bench, staging)
    assert errno(caught) == EBUSY
    assert bench.cells == before
    assert state_of(bench) == (0, EMPTY, EMPTY)


@pytest.mark.parametrize("seen", range(ATTEMPTS + 1))
@pytest.mark.parametrize("end", ["confirm", "revert"])
def test_a_new_set_has_all_its_attempts_whatever_the_trial_before_has_seen(seen, end):
    bench = Bench()
    bench.confirmed(ONE)
    bench.push(TWO)
    for _ in range(seen):
        bench.reset()
    OPERATIONS[end](bench)
    before = bench.state.active
    bench.push(THREE)
    trial = bench.state.active
    assert [bench.reset() for _ in range(ATTEMPTS + 1)] == [trial] * ATTEMPTS + [before]


def test_values_that_wait_are_saved_before_the_commit_and_dropped_by_a_revert():
    bench = Bench()
    bench.store.values.change(1, 0x1111, 0, 1000)
    bench.push(ONE)
    assert bench.store.values.restore(1) == 0x1111
    bench.store.values.change(1, 0x2222, 0, 1000)
    bench.commit.revert()
    assert not bench.store.poll(5000)
    assert bench.store.values.restore(1) == 0x1111


# ---- boot -------------------------------------------------------------------------------------


def loads(errors: dict[bytes, int]):
    """A loader that fails with an errno for the set of a digest."""

    def load(reader):
        digest = reader.image(0).sha256
        yield
        if digest in errors:
            raise HsxError(errors[digest], "boot", "told to fail")

    return load


def started(bench: Bench, *failing: tuple[list[bytes], int]) -> int:
    errors = {entries(parts)[0].sha256: number for parts, number in failing}
    return finish(bench.commit.run(bench.state.active, loads(errors)))


@pytest.mark.requirement("P-51", "P-100")
def test_a_trial_that_will_not_load_is_reverted_and_the_set_before_runs():
    bench = Bench()
    bench.confirmed(ONE)
    bench.push(TWO)
    assert started(bench, (TWO, EBADMSG)) == 1
    assert state_of(bench) == (1, CONFIRMED, REVERTED)


def test_a_confirmed_set_that_will_not_load_gives_way_once():
    bench = Bench()
    bench.confirmed(ONE)
    bench.confirmed(TWO)
    assert started(bench, (ONE, EBADMSG), (TWO, EBADMSG)) == 0
    assert state_of(bench) == (1, CONFIRMED, REVERTED)
    before = bench.cells
    assert started(bench, (ONE, EBADMSG)) == 0
    assert bench.cells == before


@pytest.mark.parametrize("number", [EIO, ENODEV])
def test_a_medium_that_fails_is_tried_again_and_no_damage(number):
    bench = Bench()
    bench.confirmed(ONE)
    bench.push(TWO)
    before = bench.cells
    with pytest.raises(HsxError) as caught:
        started(bench, (TWO, number))
    assert errno(caught) == number
    assert bench.cells == before


@pytest.mark.parametrize("number", [EIO, ENODEV])
@pytest.mark.parametrize("failures", range(5))
def test_a_set_is_read_three_times_from_a_medium_that_fails(failures, number):
    bench = Bench()
    bench.confirmed(ONE)
    tried = []

    def load(reader):
        tried.append(reader)
        yield
        if len(tried) <= failures:
            raise HsxError(number, "write", "told to fail")

    if failures < 3:
        assert finish(bench.commit.run(1, load)) == 1
    else:
        with pytest.raises(HsxError) as caught:
            finish(bench.commit.run(1, load))
        assert errno(caught) == number
    assert len(tried) == min(failures + 1, 3)


def test_a_hard_reset_on_trial_is_counted_before_the_set_is_read():
    bench = Bench()
    bench.push(ONE)
    part = Faulty(bytearray(bench.cells))
    bench = Bench(part)
    assert bench.commit.choose(True) == 1
    assert Bench(Medium(bytearray(part.memory))).state.attempts == 1


def test_a_trial_boots_as_often_as_it_may_and_soft_resets_do_not_count():
    bench = Bench()
    bench.confirmed(ONE)
    bench.push(TWO)
    boots = []
    for _ in range(ATTEMPTS + 2):
        bench.reset(hard=False)
        boots.append(bench.reset())
    assert boots == [2] * ATTEMPTS + [1, 1]
