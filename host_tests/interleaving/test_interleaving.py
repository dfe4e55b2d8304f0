# SPDX-License-Identifier: MIT
"""Between any two steps of any operation any other: nothing is lost, nothing is left over.

`make test` takes a shard of the pairs, `make test-all` all of them, and each takes its sample of
three operations at once. What fails is named by its state, its operations and the step.
"""

import random

import pytest

from hsx.boot import runtime
from hsx.boot.runtime import Runtime
from hsx.errors import EBUSY, HsxError
from hsx.service.provisioning import Provisioning
from hsx.service.transfer import Transfer
from hsx.service.work import Work
from hsx.store.commit import Commit
from hsx.store.superblock import CONFIRMED, NONE
from interleaving.invariant import check
from interleaving.operations import OPERATIONS, REPL, STATES, Site

PAIRS = [  # there is one REPL
    (outer, inner)
    for outer in OPERATIONS
    for inner in OPERATIONS
    if not (outer in REPL and inner in REPL)
]


@pytest.fixture(autouse=True)
def one_step_a_poll(monkeypatch):
    monkeypatch.setattr(runtime, "_SLICE", 0)


def in_turn(operations):
    """A step of each, in turn, until all have ended."""
    while operations:
        operations = [steps for steps in operations if next(steps, steps) is not steps]


def interleaved(site, outer, inner, at, is_whole):
    """`inner` begins behind step `at` of `outer`: all of it there, or one step of each in turn.
    False: `outer` has no such step."""
    first, second = OPERATIONS[outer](site), OPERATIONS[inner](site)
    for _ in range(at):
        if next(first, first) is first:
            return False
    if is_whole:
        in_turn([second])
    in_turn([second, first])
    return True


def try_pair(state, outer, inner, folder):
    """The two at every step, both ways; how many runs that took."""
    runs = 0
    for is_whole in (True, False):
        at = 0
        while True:
            site = Site(state, folder)
            before = bytes(site.node.store_part.memory)
            if not interleaved(site, outer, inner, at, is_whole):
                break
            try:
                check(site, before, "fault" in (outer, inner))
            except AssertionError as error:
                how = "whole" if is_whole else "in turn"
                where = f"{state}: {inner} behind step {at} of {outer}, {how}, {site.answers}"
                raise AssertionError(f"{where}: {error}") from error
            at += 1
            runs += 1
    return runs


@pytest.mark.sharded
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize(("outer", "inner"), PAIRS)
def test_any_two_operations(state, outer, inner, tmp_path):
    assert try_pair(state, outer, inner, tmp_path) > 0


@pytest.mark.parametrize("seed", range(40))
def test_three_operations_at_once(seed, tmp_path):
    """The seed is the test's number."""
    chance = random.Random(seed)
    names = [chance.choice(list(OPERATIONS)) for _ in range(2)]
    names.append(chance.choice([name for name in OPERATIONS if name not in REPL]))
    if names[0] in REPL and names[1] in REPL:
        names[1] = "fault"
    site = Site(chance.choice(STATES), tmp_path)
    before = bytes(site.node.store_part.memory)
    waiting = [OPERATIONS[name](site) for name in names]
    while waiting:
        steps = chance.choice(waiting)
        if next(steps, steps) is steps:
            waiting.remove(steps)
    check(site, before, "fault" in names)


# ---- bugs of this kind are found ---------------------------------------------------------------


def _no_second_look(monkeypatch):
    """`reject` relies on what it has read before its steps, and a staging asks nobody."""

    def reject(self, bank):
        state = self._state
        if bank != state.active or bank == NONE:
            return state.active
        if self._on_trial():
            self.revert()
            return state.active
        other = self._other(bank)
        if self._bank_state(other) != CONFIRMED or not (yield from self._fits(other)):
            return NONE
        state.states[bank - 1] = 4
        state.active = other
        self._superblocks.put()
        return other

    monkeypatch.setattr(Commit, "reject", reject)
    monkeypatch.setattr(Work, "ask", lambda self: None)


def _commit_before_asking(monkeypatch):
    """A transfer commits although the set could not be started."""

    def step(self):
        if self._steps is not None and next(self._steps, self) is not self:
            return 1
        keeper = self._loads.keeper()
        keeper.commit(self._staging)
        self._loads.work.change(keeper.run_active())
        self._close()
        return 0

    monkeypatch.setattr(Transfer, "_step", step)
    monkeypatch.setattr(Provisioning, "commit", lambda self, s: self.store.commit.commit(s))


def _replaced_without_return(monkeypatch):
    """What was ended for a replacement stays away if the file can't be loaded."""
    real = Provisioning.begin

    def begin(self, source, *args, **options):
        if source.endswith("pump.hxe"):
            raise HsxError(EBUSY, "begin", "no PID is free")
        return real(self, source, *args, **options)

    monkeypatch.setattr(Provisioning, "begin", begin)
    monkeypatch.setattr(Runtime, "_bring_back", lambda self, tasks: iter(()))


@pytest.mark.parametrize(
    ("bug", "state", "outer", "inner"),
    [
        (_no_second_look, "two confirmed", "fault", "persist"),
        (_commit_before_asking, "two confirmed", "push third", "fault"),
        (_replaced_without_return, "two confirmed", "replace", "quiet"),
    ],
)
def test_a_seeded_bug_is_found(monkeypatch, tmp_path, bug, state, outer, inner):
    Site(state, tmp_path)  # the medium is prepared before the bug is there
    bug(monkeypatch)
    with pytest.raises(AssertionError):
        try_pair(state, outer, inner, tmp_path)
