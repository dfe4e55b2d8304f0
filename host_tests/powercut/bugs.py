# SPDX-License-Identifier: MIT
"""The store with one rule broken: what the harness must find, or the harness is broken.

Each bug replaces methods of the store by ones that do it wrong, and names the scenarios that its
rule is about, which are tried first.
"""

import struct
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from hsx.store import commit as commit_module
from hsx.store.commit import Commit
from hsx.store.counters import Counters
from hsx.store.record import seal
from hsx.store.saved_values import SavedValues
from hsx.store.staging import Staging, StagingRecord
from hsx.store.store import Store
from hsx.store.superblock import CONFIRMED, EMPTY, REVERTED, State, Superblocks
from powercut.scenarios import Scenario

Patch = tuple[Any, str, Any]  # of what, which name, by what


def _crc_before_data() -> list[Patch]:
    """The superblock, whose CRC makes a set count, is written before the set's bytes."""
    stage, commit = Commit.stage, Commit.commit

    def stage_and_commit(self: Commit, images: list) -> Staging:
        staging = stage(self, images)
        staging.verified = True
        commit(self, staging)
        staging.live = True
        return staging

    return [(Commit, "stage", stage_and_commit), (Commit, "commit", lambda self, staging: None)]


def _progress_before_data() -> list[Patch]:
    """R6: the staging record is written before the bytes that it speaks of."""
    write = Staging.write

    def record_first(self: Staging, index: int, offset: int, data: memoryview) -> None:
        at = self.images[index].offset + offset
        if at <= self.done:
            self._record.write(self.bank, self._decl, self.digest, at + len(data))
        write(self, index, offset, data)

    return [(Staging, "write", record_first)]


def _single_superblock() -> list[Patch]:
    """There is one copy, written in place."""

    def write(self: Superblocks, copy: int) -> None:
        self.state.generation += 1
        self.state.pack_into(self._raw, self._log2_size)
        self._region.write(0, self._raw)
        self._used = 0

    def write_copies(self: Superblocks, copies: int) -> None:
        write(self, 0)

    return [(Superblocks, "_write", write), (Superblocks, "_write_copies", write_copies)]


def _generation_not_raised() -> list[Patch]:
    """R2: a copy gets the generation that the other has."""

    def write(self: Superblocks, copy: int) -> None:
        self.state.pack_into(self._raw, self._log2_size)
        self._region.write(copy * 128, self._raw)
        self._used = copy

    return [(Superblocks, "_write", write)]


def _attempt_after_trying() -> list[Patch]:
    """R9: the attempt is counted when the apps have run, which a bad set never lets happen."""

    def choose(self: Commit, hard: bool) -> int:
        if self._on_trial() and self._state.attempts >= self._attempts:
            self.revert()
        return self._state.active

    return [(Commit, "choose", choose)]


def _not_declared() -> list[Patch]:
    """R5: the inactive bank is overwritten while the superblock calls it confirmed."""

    def declare(self: Commit, bank: int) -> None:
        pass

    def commit(self: Commit, staging: Staging) -> None:
        self._state.states[staging.bank - 1] = EMPTY
        original(self, staging)

    original = Commit.commit
    return [(Commit, "_declare", declare), (Commit, "commit", commit)]


def _record_not_bound() -> list[Patch]:
    """R6: a staging record of an earlier declaration counts."""

    def counts(self: StagingRecord, state: State, bank: int) -> bool:
        return self.bank == bank and state.active != bank and state.states[bank - 1] == EMPTY

    def begin(self: Staging, counts: bool) -> None:
        original(self, counts and self._record.digest == self.digest)

    original = Staging.begin
    return [(StagingRecord, "counts", counts), (Staging, "begin", begin)]


def _confirm_once() -> list[Patch]:
    """R2: confirm is written into one copy only."""

    def confirm(self: Commit, floor: int = 0) -> None:
        put = Superblocks.put
        with mock.patch.object(Superblocks, "put", lambda s, once=False: put(s, True)):
            original(self, floor)

    original = Commit.confirm
    return [(Commit, "confirm", confirm)]


def _values_copied_back() -> list[Patch]:
    """V3: a revert writes the values of before the trial into their slots again."""

    def revert(self: Commit) -> None:
        state = self._state
        trial = state.open
        values = self._values
        stored = values.keys()
        for key in stored:
            state.open = 0
            bits = values.saved(key)
            state.open = trial
            if bits is not None:
                values.save(key, bits)
        original(self)

    original = Commit.revert
    return [(Commit, "revert", revert)]


def _no_v4() -> list[Patch]:
    """V4: slots of a reverted trial stay until `ok` passes their tag."""
    return [(SavedValues, "drop_rejected", lambda self: None)]


def _no_r3() -> list[Patch]:
    """R3: the copy in use is not read before the other is written."""
    return [(Superblocks, "_in_use_is_good", lambda self: True)]


def _no_r4() -> list[Patch]:
    """R4: an opening repairs nothing."""

    def open_only(self: Superblocks) -> bool:
        with (
            mock.patch.object(Superblocks, "_agree", lambda s: True),
            mock.patch.object(Superblocks, "_write_copies", lambda s, copies: None),
        ):
            return original(self)

    original = Superblocks.open
    return [(Superblocks, "open", open_only)]


def _ids_reset() -> list[Patch]:
    """R1: a format begins with generation 0 again."""
    set_aside = Superblocks.set_aside

    def forget(self: Superblocks) -> None:
        set_aside(self)
        self.state.generation = 0

    return [(Superblocks, "set_aside", forget)]


def _no_read_back() -> list[Patch]:
    """R7: a staged set counts as whole when its last byte was written."""

    def end(self: Staging) -> Iterator[None]:
        self.verified = True
        yield

    return [(Staging, "end", end)]


def _progress_kept() -> list[Patch]:
    """R7: a failed read-back leaves the staging record as it was."""
    original = Staging.end

    def end(self: Staging) -> Iterator[None]:
        with mock.patch.object(StagingRecord, "write", lambda *_: None):
            yield from original(self)

    return [(Staging, "end", end)]


def _floor_not_kept_at_commit() -> list[Patch]:
    """R8: a set below the floor is committed."""
    return [(Staging, "epoch", property(lambda self: 1 << 30))]


def _floor_not_kept_at_rollback() -> list[Patch]:
    """R9: a set below the floor is rolled back to."""

    def fits(self: Commit, bank: int) -> Generator[None, None, bool]:
        yield
        return True

    return [(Commit, "_fits", fits)]


def _ping_pong() -> list[Patch]:
    """R10: a confirmed set that faults stays confirmed, and may come back."""

    def stays(operation: int, before: int) -> int:
        result = after(operation, before)
        return CONFIRMED if before == CONFIRMED and result == REVERTED else result

    after = commit_module.after
    return [(commit_module, "after", stays)]


def _no_tag() -> list[Patch]:
    """V1: a slot does not say which trial wrote it."""
    original = SavedValues.save

    def save(self: SavedValues, key: int, bits: int) -> None:
        state = self._superblocks.state
        trial, state.open = state.open, 0
        try:
            original(self, key, bits)
        finally:
            state.open = trial

    return [(SavedValues, "save", save)]


def _every_tag_accepted() -> list[Patch]:
    """V2: the newest slot is the value, whoever wrote it."""
    return [(SavedValues, "_accepted", lambda self, slot, trial=-1: True)]


def _single_counter() -> list[Patch]:
    """C1: there is one record of a key, written in place."""
    read = Counters.read

    def write(self: Counters, at: int, key: bytes, counter: int) -> None:
        self._record[: len(key)] = key
        struct.pack_into("<I", self._record, len(key), counter)
        seal(self._record)
        self._region.write(2 * at * len(self._record), self._record)

    def read_first(self: Counters, at: int, copy: int, buf: bytearray) -> int:
        return read(self, at, 0, buf)

    return [(Counters, "_write", write), (Counters, "read", read_first)]


def _superblocks_first() -> list[Patch]:
    """F: a format makes the superblocks before the records are blank."""

    def make(self: Store, confirmation: str) -> None:
        self.superblocks.set_aside()
        self.superblocks.create()
        self.staging.clear()
        self.counters.clear()
        self.values.clear()
        self.open()

    return [(Store, "format", make)]


# Name: how it is seeded, the rule it breaks, the scenarios that the rule is about.
_BUGS: dict[str, tuple[Callable[[], list[Patch]], str, tuple[str, ...]]] = {
    "crc_before_data": (_crc_before_data, "R8", ("update",)),
    "progress_before_data": (_progress_before_data, "R6", ("resume",)),
    "single_superblock": (_single_superblock, "R2", ("confirm",)),
    "generation_not_raised": (_generation_not_raised, "R2", ("confirm",)),
    "attempt_after_trying": (_attempt_after_trying, "R9", ("revert_by_attempts",)),
    "not_declared": (_not_declared, "R5", ("declare",)),
    "record_not_bound": (_record_not_bound, "R6", ("restage",)),
    "confirm_once": (_confirm_once, "R2", ("confirm",)),
    "values_copied_back": (_values_copied_back, "V3", ("trial_value",)),
    "ids_reset": (_ids_reset, "R1", ("format_over",)),
    "no_read_back": (_no_read_back, "R7", ("read_back",)),
    "progress_kept": (_progress_kept, "R7", ("read_back",)),
    "floor_not_kept_at_commit": (_floor_not_kept_at_commit, "R8", ("below_floor",)),
    "floor_not_kept_at_rollback": (_floor_not_kept_at_rollback, "R9", ("below_floor",)),
    "ping_pong": (_ping_pong, "R10", ("reject_confirmed",)),
    "no_tag": (_no_tag, "V1", ("trial_value",)),
    "every_tag_accepted": (_every_tag_accepted, "V2", ("trial_value",)),
    "single_counter": (_single_counter, "C1", ("counter",)),
    "superblocks_first": (_superblocks_first, "F", ("format_over",)),
    "no_v4": (_no_v4, "V4", ("trial_value",)),
    "no_r3": (_no_r3, "R3", ("confirm", "update")),
    "no_r4": (_no_r4, "R4", ("confirm", "update")),
}
NAMES = tuple(_BUGS)
RULES = ("R1", "R2", "R3", "R4", "R5", "R6", "R7", "R8", "R9", "R10")
RULES += ("V1", "V2", "V3", "V4", "C1", "F")


def by_rule() -> dict[str, list[str]]:
    """The bugs that break each rule of the store's design."""
    return {rule: [name for name in NAMES if _BUGS[name][1] == rule] for rule in RULES}


@contextmanager
def seeded(name: str) -> Iterator[None]:
    """The store has this bug inside."""
    patches = [mock.patch.object(*patch) for patch in _BUGS[name][0]()]
    for patch in patches:
        patch.start()
    try:
        yield
    finally:
        for patch in reversed(patches):
            patch.stop()


def order(name: str, scenarios: list[Scenario]) -> list[Scenario]:
    """The scenarios, those that the bug is about first."""
    first = _BUGS[name][2]
    return sorted(scenarios, key=lambda scenario: scenario.name not in first)
