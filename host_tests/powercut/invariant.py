# SPDX-License-Identifier: MIT
"""The one statement of what must hold after a reset, wherever the power was cut.

THE INVARIANT. A step of the node was under way, or none. After the reset the store shows either
what it showed before that step or what it shows after it, nothing else and nothing between: the
set that is active and whether it is on trial, the set that a rollback would give, every saved
value, the floor, the counter of every key. A set that is on trial or confirmed is there byte for
byte. Generation, floor and counters have not gone back. The set that boots is the active one, or,
if that was on trial and its attempts are used up, the one before it; it is not below the floor.
And what was interrupted can be started again, and then succeeds. What a node has shown after a
reset it shows after the next, even if a superblock copy rots between.
"""

from hsx.store.bank import BankReader
from hsx.store.layout import Layout
from hsx.store.store import STATE_NAMES, Store
from hsx.store.superblock import CONFIRMED, REVERTED, TRIAL
from powercut.medium import Medium
from powercut.scenarios import Scenario
from powercut.world import ATTEMPTS, KEY, SETS, World, boot


class Broken(Exception):
    """The invariant does not hold."""


class View:
    """What a store shows. `facts` is compared; generation, floor and counter may not go back."""

    def __init__(self, store: Store, part: Medium) -> None:
        state = store.superblocks.state
        self.valid = store.valid
        self.generation = state.generation if store.valid else 0
        self.floor = state.floor if store.valid else 0
        self.counter = 0
        self.boots: str | None = None  # the set that the next hard reset must start
        self.tries_left = ATTEMPTS
        self.facts: tuple = ("no store",)
        if not store.valid:
            return
        banks = [contents(store, part, bank) for bank in (1, 2)]
        active = state.active
        current = banks[active - 1] if active else None
        other = banks[2 - active] if active and state.states[2 - active] == CONFIRMED else None
        on_trial = bool(active) and state.states[active - 1] == TRIAL
        values = tuple((key, store.values.saved(key)) for key in (1, 2, 3, 4))
        try:
            self.counter = store.counters.value(KEY)
        except OSError:
            self.counter = 0
        self.tries_left = ATTEMPTS - state.attempts if on_trial else ATTEMPTS
        self.boots = other if on_trial and self.tries_left <= 0 else current
        self.facts = (
            STATE_NAMES[state.states[active - 1]] if active else "none",
            current,
            other,
            values,
            self.floor,
            self.counter,
        )


def contents(store: Store, part: Medium, bank: int) -> str | None:
    """The name of the set in a bank that is on trial or confirmed, None for another; Broken if its
    bytes are no set's."""
    state = store.superblocks.state
    if state.states[bank - 1] not in (TRIAL, CONFIRMED):
        return None
    region = store.layout.regions(part)[3 + bank]
    reader = BankReader(region, memoryview(bytearray(512)))
    try:
        reader.open(state.digests[bank - 1])
    except OSError as error:
        raise Broken(f"bank {bank} is {STATE_NAMES[state.states[bank - 1]]}: {error}") from None
    found = []
    for index in range(reader.count):
        image = reader.image(index)
        data = bytearray(image.length)
        reader.read(image, 0, memoryview(data))
        found.append(bytes(data))
    for name, (_, parts) in SETS.items():
        if parts == found:
            return name
    raise Broken(f"bank {bank} is {STATE_NAMES[state.states[bank - 1]]} and holds no whole set")


class Expected:
    """What may be seen after a reset: `facts`, any of them; nothing lower than in `least`.
    `forgets`: a format is under way, which gives up floor and counters."""

    def __init__(self, facts: set[tuple], least: View, forgets: bool = False) -> None:
        self.facts = facts
        self.least = least
        self.forgets = forgets


class Outcome:
    """A reset that kept the invariant: the `view` before the boot and the one `after` it, the
    `log` of what the reset wrote, and what was `expected` of it."""

    def __init__(
        self, view: View, after: View, log: list[tuple[int, bytes]], expected: Expected
    ) -> None:
        self.expected = expected
        self.view = view
        self.after = after
        self.log = log


def check_reset(memory: bytearray, layout: Layout, expected: Expected) -> Outcome:
    """Resets a node on `memory`, which changes. Broken if the invariant does not hold."""
    part = Medium(memory)
    store = Store(part, attempts=ATTEMPTS, layout=layout)
    try:
        store.open()
        view = View(store, part)
        if view.facts not in expected.facts:
            raise Broken(f"shows {view.facts}, not one of {expected.facts}")
        kept = ("generation",) if expected.forgets else ("generation", "floor", "counter")
        for name in kept if view.valid else ():
            if getattr(view, name) < getattr(expected.least, name):
                raise Broken(f"{name} went back to {getattr(view, name)}")
        if not view.valid:
            return Outcome(view, view, part.log, expected)
        _check_boot(store, part, view)
        return Outcome(view, View(store, part), part.log, expected)
    except (OSError, ArithmeticError, LookupError) as error:
        raise Broken(f"{type(error).__name__}: {error}") from error


def _check_boot(store: Store, part: Medium, view: View) -> None:
    before = store.superblocks.state.attempts
    bank = boot(store, True)
    state = store.superblocks.state
    started = contents(store, part, bank) if bank else None
    if started != view.boots:
        raise Broken(f"boots {started}, not {view.boots}")
    if started is not None and SETS[started][0] < state.floor:
        raise Broken(f"boots {started}, which is below the floor")
    if bank and state.states[bank - 1] == TRIAL and state.attempts != before + 1:
        raise Broken("a start of a trial set was not counted before it")
    if bank and state.states[bank - 1] == REVERTED:
        raise Broken("boots a reverted set")


def check_again(
    memory: bytearray, scenario: Scenario, step: int, final: View, tries: dict[str, int]
) -> None:
    """Starts step number `step` again after a soft reset, and goes on to the end. `tries`: how
    often each trial was started before the cut."""
    world = World(Medium(memory), scenario.layout)
    world.tries = dict(tries)
    try:
        world.reset(hard=False)
        for run in scenario.steps[step:]:
            run(world)
        view = View(world.store, world.part)
    except (OSError, AssertionError) as error:
        raise Broken(f"started again, it fails: {type(error).__name__}: {error}") from error
    if view.facts[:4] != final.facts[:4] or view.floor < final.floor:
        raise Broken(f"started again, it ends with {view.facts}, not {final.facts}")
