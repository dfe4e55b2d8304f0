# SPDX-License-Identifier: MIT
"""Cuts the power of every scenario at every byte, and again at every byte of the recovery.

A case has an id, which `run.py --case` runs alone:

    update/uncut                    no fault at all
    update/b123/garbage             cut with 123 bytes written, the torn byte is garbage
    update/b123/old/again           the same, then the interrupted step is started again
    restage/b123/old/instead        or left out, and the next step is taken
    update/b123/old/then1           the recovery goes through, then copy 1 rots
    update/b123/old/b7/garbage      and the recovery is cut with 7 bytes written
    update/w5/rot0                  power lost before write 5; superblock copy 0 rots while off
    update/w5/rot0/b7/old           and the recovery is cut
    update/w5/run1                  copy 1 rots behind five writes while the node runs on
    update/w5/run1/b300/old         and the power is cut with 300 bytes written
    update/b123/old/rot1            cut inside a write, and copy 1 rots while off
    update/n123                     the byte behind 123 written ones is not acknowledged, once: EIO
    update/e45                      at the read behind 45 others nobody answers, once: ENODEV

A rotten copy after a cut inside a write is the one double fault that two copies cannot bear: if
the torn write was the superblock's own, the store may be gone; then it says so and starts nothing.
Everywhere else the whole invariant holds (`invariant.py`). "new" for the torn byte is "old" of the
next byte. A node on a bus that failed may run without its store until its next reset.
"""

import random
from collections.abc import Callable, Iterator
from typing import TypeVar

from fakes.fram import PowerCut
from hsx.errors import EIO, ENODEV
from hsx.store.layout import COPY, Layout
from hsx.store.store import Store
from powercut.invariant import Broken, Expected, Outcome, View, check_again, check_reset
from powercut.medium import TORN, Faulty, Medium, prefix
from powercut.scenarios import Scenario, Step
from powercut.world import ATTEMPTS, World

NO_STORE = ("no store",)
Result = TypeVar("Result")


class Reference:
    """The uncut run of a scenario: what each step shows, writes and ends at."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.start = scenario.start()
        part = Medium(bytearray(self.start))
        copy = Medium(bytearray(self.start))
        store = Store(copy, attempts=ATTEMPTS, layout=scenario.layout)
        store.open()
        self.views = [View(store, copy)]
        self.ends: list[int] = []  # bytes written when each step was done
        looked = 0  # reads that were ours
        try:
            world = World(part, scenario.layout)
            for step in scenario.steps:
                step(world)
                self.ends.append(part.written)
                before = part.reads
                self.views.append(View(world.store, part))
                looked += part.reads - before
        except (OSError, AssertionError) as error:
            raise Broken(
                f"uncut, step {len(self.ends)}: {type(error).__name__}: {error}"
            ) from error
        if self.views[-1].facts != scenario.ends:
            raise Broken(f"uncut, it ends with {self.views[-1].facts}, not {scenario.ends}")
        self.log = part.log
        self.reads = part.reads - looked
        self.total = part.written
        self.offsets = [0]  # bytes written before each write, and at the end
        for _, data in self.log:
            self.offsets.append(self.offsets[-1] + len(data))

    def step_at(self, written: int) -> int:
        """Which step is under way with so many bytes written; one too many if all are done."""
        return next((n for n, end in enumerate(self.ends) if end > written), len(self.ends))

    def expected(self, written: int) -> Expected:
        """What may be seen after a cut there."""
        step = self.step_at(written)
        views = self.views[step : step + 2]
        facts = {view.facts for view in views}
        between = self.scenario.between and len(views) == 2
        if between:
            facts.add(NO_STORE)
        return Expected(facts, views[0], between)

    def write_at(self, written: int) -> int:
        """The write that the byte after so many belongs to."""
        return next(n for n, offset in enumerate(self.offsets[1:]) if offset > written)


def cut_run(reference: Reference, cut_at: int, torn: str) -> tuple[bytearray, dict[str, int]]:
    """Runs the scenario until the power fails: the cells, and how often each trial started."""
    part = Medium(bytearray(reference.start), cut_at, torn)
    tries: dict[str, int] = {}
    try:
        world = World(part, reference.scenario.layout)
        world.tries = tries
        for step in reference.scenario.steps:
            step(world)
    except PowerCut:
        pass
    except (OSError, AssertionError) as error:
        raise Broken(f"before the cut: {type(error).__name__}: {error}") from error
    return part.memory, tries


def rotten_run(
    reference: Reference, write: int, copy: int, cut_at: int | None, torn: str
) -> Medium:
    """The same with a superblock copy that rots behind so many writes, while the node runs."""

    def rot_now(number: int) -> None:
        if number == write:
            rot(part.memory, copy, write)

    part = Medium(bytearray(reference.start), cut_at, torn, rot_now)
    rot_now(0)
    try:
        world = World(part, reference.scenario.layout)
        for step in reference.scenario.steps:
            step(world)
    except PowerCut:
        pass
    except (OSError, AssertionError) as error:
        raise Broken(f"with a rotten copy: {type(error).__name__}: {error}") from error
    return part


def fault_run(reference: Reference, kind: str, at: int) -> Outcome:
    """Runs the scenario on a bus that fails once. What was refused is started again, after a soft
    reset, and all of it succeeds."""
    nack_at, absent_at = (at, None) if kind == "n" else (None, at)
    part = Faulty(bytearray(reference.start), nack_at, absent_at)
    views = reference.views
    world = _despite_fault(lambda: World(part, reference.scenario.layout))
    for number, step in enumerate(reference.scenario.steps):
        later = {view.facts for view in views[number + 1 :]}
        for _ in range(3):
            failed = _failed(world, step)
            part.well = True
            facts = View(world.store, part).facts
            part.well = False
            if facts in later and not failed:
                break
            if facts not in later and facts not in (views[number].facts, NO_STORE):
                raise Broken(f"after a fault in step {number} it shows {facts}")
            if facts in later and facts != views[number].facts:
                break
            _despite_fault(lambda: world.reset(hard=False))
        else:
            raise Broken(f"step {number} does not succeed after a fault")
    expected = Expected({views[-1].facts}, views[-1])
    return check_reset(part.memory, reference.scenario.layout, expected)


def _failed(world: World, step: Step) -> bool:
    """Takes a step; whether the medium broke it off."""
    try:
        step(world)
    except OSError as error:
        if error.errno not in (EIO, ENODEV):
            raise Broken(f"at a fault: {type(error).__name__}: {error}") from error
        return True
    return False


def _despite_fault(call: Callable[[], Result]) -> Result:
    """What the call gives, the second time if the one fault hits it."""
    try:
        return call()
    except OSError as error:
        if error.errno not in (EIO, ENODEV):
            raise Broken(f"at a fault: {type(error).__name__}: {error}") from error
        return call()


def rot(memory: bytearray, copy: int, number: int) -> None:
    """Flips one bit of a superblock copy; which one differs from case to case."""
    memory[copy * COPY + number * 7 % 96] ^= 1 << number % 8


# ---- one case of each kind --------------------------------------------------------------------


def run_case(reference: Reference, case: str) -> Outcome | None:
    """Runs the case of this id; Broken if the invariant does not hold."""
    parts = case.split("/")[1:]
    layout = reference.scenario.layout
    kind = parts[0][0]
    at = int(parts[0][1:]) if kind != "u" else 0
    if kind in "ne":
        return fault_run(reference, kind, at)
    if kind == "u":
        facts = {reference.views[-1].facts}
        expected = Expected(facts, reference.views[-1])
        return check_reset(prefix(reference.start, reference.log, None, "old"), layout, expected)
    if kind == "b":
        memory, tries = cut_run(reference, at, parts[1])
        expected = reference.expected(at)
        rest = parts[2:]
        if rest and rest[0] in ("again", "instead"):
            return _again(reference, memory, at, expected, tries, rest[0] == "instead")
        if rest and rest[0].startswith("then"):
            after = check_reset(memory, layout, expected).after
            rot(memory, int(rest[0][4:]), at)
            return check_reset(memory, layout, Expected({after.facts}, after))
        if rest and rest[0].startswith("rot"):
            copy = int(rest[0][3:])
            rot(memory, copy, at)
            addr = reference.log[reference.write_at(at)][0]
            if addr < 2 * COPY and at not in reference.offsets:
                expected.facts.add(NO_STORE)
            rest = rest[1:]
    else:
        copy = int(parts[1][3:])
        if parts[1].startswith("rot"):
            at = reference.offsets[at]
            memory = prefix(reference.start, reference.log, at, "old")
            rot(memory, copy, int(parts[0][1:]))
            rest = parts[2:]
        else:
            cut = int(parts[2][1:]) if len(parts) > 2 else None
            part = rotten_run(reference, at, copy, cut, parts[3] if len(parts) > 2 else "old")
            memory, rest = part.memory, []
            return check_reset(memory, layout, _expected_rotten(reference, cut))
        expected = reference.expected(at)
    if not rest:
        return check_reset(memory, layout, expected)
    first = check_reset(bytearray(memory), layout, expected)
    return check_second(memory, layout, first, int(rest[0][1:]), rest[1])


def check_second(
    memory: "bytes | bytearray", layout: Layout, first: Outcome, cut_at: int, torn: str
) -> Outcome:
    """Cuts a recovery, whose uncut outcome is known, and checks the next one."""
    cells = prefix(bytes(memory), first.log, cut_at, torn)
    facts = {first.view.facts, first.after.facts}
    if cut_at < len(first.log[0][1]):
        # Nothing was shown yet, and a repair that writes over a rotten bit may heal the old copy.
        facts |= first.expected.facts
    # A cut repair may leave the copies as they were: the generation before it counts.
    least = first.expected.least
    return check_reset(cells, layout, Expected(facts, least, first.expected.forgets))


def _again(
    reference: Reference,
    memory: bytearray,
    at: int,
    expected: Expected,
    tries: dict[str, int],
    instead: bool,
) -> None:
    step = reference.step_at(at)
    before = reference.views[step].facts
    view = check_reset(bytearray(memory), reference.scenario.layout, expected).view
    if instead or view.facts not in (before, NO_STORE):
        step += 1
    check_again(memory, reference.scenario, step, reference.views[-1], tries)


def _expected_rotten(reference: Reference, cut: int | None) -> Expected:
    """After a run with a rotten copy: the extra writes of R3 shift the bytes at which steps end,
    by two copies at most, so that a cut may belong to an earlier step."""
    if cut is None:
        return Expected({reference.views[-1].facts}, reference.views[-1])
    low = reference.step_at(max(0, cut - 2 * 96))
    high = reference.step_at(cut)
    views = reference.views[low : high + 2]
    facts = {view.facts for view in views}
    if reference.scenario.between:
        facts.add(NO_STORE)
    return Expected(facts, views[0], reference.scenario.between)


# ---- all cases --------------------------------------------------------------------------------


class Tally:
    """What a scenario came to. `cuts`: power cuts, by kind; `faults`: other faults, by kind;
    `lost`: (id, why)."""

    def __init__(self) -> None:
        kinds = ("first", "again", "second", "then_rot", "rot", "rot_and_cut", "double", "triple")
        self.cuts = dict.fromkeys(kinds, 0)
        self.faults = {"rot_running": 0, "nack": 0, "absent": 0}
        self.all_first = True  # whether every byte and every write had its case
        self.all_second = True  # whether every byte of their recoveries had
        self.gone = 0  # double faults after which there was no store, as documented
        self.lost: list[tuple[str, str]] = []

    def total(self) -> int:
        """Power cuts of all kinds."""
        return sum(self.cuts.values())

    def count(self, kind: str) -> None:
        counts = self.cuts if kind in self.cuts else self.faults
        counts[kind] += 1


def some(values: list, limit: int, chance: random.Random) -> list:
    """All of them, or `limit` drawn at random."""
    return values if len(values) <= limit else sorted(chance.sample(values, limit))


def cases(reference: Reference, limit: int, chance: random.Random) -> Iterator[tuple[str, str]]:
    """(kind, id) of all cases but those of the second cut; at most `limit` places of each kind."""
    name = reference.scenario.name
    yield "uncut", f"{name}/uncut"
    places = some(list(range(reference.total)), limit, chance)
    for at in places:
        for torn in TORN:
            yield "first", f"{name}/b{at}/{torn}"
        yield "again", f"{name}/b{at}/old/again"
        if reference.scenario.droppable and reference.step_at(at) == 0:
            yield "again", f"{name}/b{at}/old/instead"
        for copy in (0, 1):
            yield "then_rot", f"{name}/b{at}/old/then{copy}"
        for copy in (0, 1) if at or not reference.scenario.rotten else ():
            yield "double", f"{name}/b{at}/old/rot{copy}"
        yield "nack", f"{name}/n{at}"
    for at in some(list(range(reference.reads)), limit, chance):
        yield "absent", f"{name}/e{at}"
    yield "first", f"{name}/b{reference.total}/old"
    writes = list(range(reference.scenario.rotten, len(reference.log) + 1))
    for write in some(writes, limit, chance):
        for copy in (0, 1):
            yield "rot", f"{name}/w{write}/rot{copy}"
            if write == len(reference.log):
                continue
            yield "rot_running", f"{name}/w{write}/run{copy}"
            later = list(range(reference.offsets[write], reference.total))
            share = limit if reference.total <= limit else max(1, limit // len(reference.log))
            for at in some(later, share, chance):
                yield "rot_and_cut", f"{name}/w{write}/run{copy}/b{at}/old"


def run_scenario(scenario: Scenario, limit: int, seconds: int, seed: int) -> Tally:
    """All cases of a scenario. `limit`: places of one kind, at most. `seconds`: second cuts, at
    most; where there are more, a tenth of it is drawn, as always after double faults."""
    tally = Tally()
    chance = random.Random(f"{seed}/{scenario.name}")
    try:
        reference = Reference(scenario)
    except Broken as error:
        tally.lost.append((f"{scenario.name}/uncut", str(error)))
        return tally
    tally.all_first = reference.total <= limit
    second: dict[str, list[tuple[str, int]]] = {"second": [], "triple": []}
    for kind, case in cases(reference, limit, chance):
        try:
            outcome = run_case(reference, case)
        except Broken as error:
            tally.lost.append((case, str(error)))
            continue
        if kind != "uncut":
            tally.count(kind)
        if kind == "double" and outcome is not None and not outcome.view.valid:
            tally.gone += 1
        if outcome is not None and outcome.log and kind in ("first", "rot", "double"):
            group = "triple" if kind == "double" else "second"
            second[group].append((case, sum(len(data) for _, data in outcome.log)))
    whole = _second_cuts(reference, second["second"], seconds, chance, tally, "second")
    tally.all_second = tally.all_first and whole
    _second_cuts(reference, second["triple"], seconds // 10, chance, tally, "triple")
    return tally


def _second_cuts(
    reference: Reference,
    firsts: list[tuple[str, int]],
    limit: int,
    chance: random.Random,
    tally: Tally,
    kind: str,
) -> bool:
    """Cuts the recoveries: at all of their bytes, if these are at most `limit` cuts, else with an
    even share of a tenth of it each; whether at all."""
    whole = sum(size * len(TORN) for _, size in firsts) <= limit
    share = limit if whole else max(1, limit // 10 // len(firsts))
    for case, size in firsts:
        memory, first = _recovery(reference, case)
        places = [(at, torn) for at in range(size) for torn in TORN]
        for at, torn in some(places, share, chance):
            try:
                check_second(memory, reference.scenario.layout, first, at, torn)
            except Broken as error:
                tally.lost.append((f"{case}/b{at}/{torn}", str(error)))
            tally.count(kind)
    return whole


def _recovery(reference: Reference, case: str) -> tuple[bytes, Outcome]:
    """The cells before the recovery of a case, and its uncut outcome."""
    parts = case.split("/")[1:]
    at = int(parts[0][1:])
    if parts[0][0] == "w":
        memory = prefix(reference.start, reference.log, reference.offsets[at], "old")
        at_byte = reference.offsets[at]
    else:
        memory = prefix(reference.start, reference.log, at, parts[1])
        at_byte = at
    expected = reference.expected(at_byte)
    if parts[-1].startswith("rot"):
        rot(memory, int(parts[-1][3:]), at)
        if parts[0][0] == "b":
            expected.facts.add(NO_STORE)
    return bytes(memory), check_reset(bytearray(memory), reference.scenario.layout, expected)
