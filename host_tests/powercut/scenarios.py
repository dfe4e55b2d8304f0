# SPDX-License-Identifier: MIT
"""What a node does with its store, in steps that are each done or not done.

A scenario arranges a medium, then takes its steps; between two steps the store answers its caller.
"""

from collections.abc import Callable

from hsx.errors import EBADMSG, EPERM, HsxError
from hsx.store.layout import COPY, Layout, layout_of
from hsx.store.store import CONFIRMATION
from powercut.medium import Medium
from powercut.world import KEY, SETS, World, finish

SMALL = Layout(12, 2, 4, 0x400)
SMALL.progress = 128
LARGE = layout_of(0x8000)

# "one" and "two" share an image.
SETS.update(
    {
        "one": (1, [bytes(range(101)), b"shared " * 20]),
        "two": (2, [bytes(range(120, 10, -1)), b"shared " * 20, b"more" * 9]),
        "three": (3, [b"\xa5" * 250, bytes(range(90))]),
        # As many images as "two": its first byte stands where that of "two" stood.
        "four": (3, [b"\x5a" * 130, bytes(range(60)), b"tail" * 5]),
        "large": (4, [bytes(n * k % 251 for n in range(1500 + 700 * k)) for k in (1, 2, 3)]),
    }
)

Step = Callable[[World], object]


class Scenario:
    """`arrange` makes the state, `steps` are cut. `ends`: what the store shows when all are done
    (`View.facts`), said by hand. `between`: a cut step may also leave the part unformatted (F).
    `rotten`: a superblock copy is bad from the start, so that no other may rot before it is
    repaired. `droppable`: when the first step is cut, the others succeed without it too."""

    def __init__(
        self,
        name: str,
        arrange: Step,
        *steps: Step,
        ends: tuple,
        layout: Layout = SMALL,
        between: bool = False,
        rotten: bool = False,
        droppable: bool = False,
    ) -> None:
        self.name = name
        self.arrange = arrange
        self.steps = steps
        self.ends = ends
        self.layout = layout
        self.between = between
        self.rotten = rotten
        self.droppable = droppable

    def start(self) -> bytes:
        """The medium before the first step."""
        memory = bytearray(b"\xff" * self.layout.size)
        self.arrange(World(Medium(memory), self.layout))
        return bytes(memory)


def _nothing(world: World) -> None:
    pass


def _formatted(world: World) -> None:
    world.store.format(CONFIRMATION)


def _one(world: World) -> None:
    """Set one confirmed, two values, a counter, floor 1."""
    _formatted(world)
    world.confirmed("one", 1)
    world.store.values.save(1, 0x3C00)
    world.store.values.save(2, 0x4000)
    world.store.counters.enrol(KEY, 5)


def _both(world: World) -> None:
    """One before, two active; both confirmed."""
    _one(world)
    world.confirmed("two")


def _trial(world: World) -> None:
    _one(world)
    world.push("two")
    world.reset()


def _half_staged(world: World) -> None:
    _one(world)
    world.stage("three", 0.7)


def _two_reverted(world: World) -> None:
    _trial(world)
    world.store.commit.revert()


def _one_copy_bad(world: World) -> None:
    _both(world)
    world.part.memory[COPY + 20] ^= 1


def _newer_floor(world: World) -> None:
    """The set before is below the floor."""
    _one(world)
    world.confirmed("two", 2)


def _staged_byte_bad(world: World) -> None:
    """A byte that the staging record calls in place is not."""
    _half_staged(world)
    world.part.memory[SMALL.bank_base + SMALL.bank_size + 16 + 2 * 112 + 10] ^= 1


def _refused(errno: int, step: Step) -> Step:
    """The step, which must be refused."""

    def take(world: World) -> None:
        try:
            step(world)
        except HsxError as error:
            if error.errno == errno:
                return
            raise
        raise AssertionError("what must be refused was done")

    return take


def _push_twice(world: World) -> None:
    """What the read-back refuses is staged anew."""
    try:
        world.push("three")
    except HsxError as error:
        if error.errno != EBADMSG:
            raise
        world.push("three")


def _save(key: int, bits: int) -> Step:
    return lambda world: world.store.values.save(key, bits)


def _debounced(world: World) -> None:
    """Two changes within the debounce time are one save."""
    world.store.values.change(2, 0x1111, 0, 100)
    world.store.values.change(2, 0x2222, 50, 100)
    while world.store.poll(100):
        pass


def _push(name: str) -> Step:
    return lambda world: world.push(name)


def _stage(name: str, part: float = 1.0) -> Step:
    return lambda world: world.stage(name, part)


def _confirm(floor: int = 0) -> Step:
    return lambda world: world.store.commit.confirm(floor)


def _revert(world: World) -> None:
    world.store.commit.revert()


def _rollback(world: World) -> None:
    finish(world.store.commit.rollback())


def _reject(world: World) -> None:
    finish(world.store.commit.reject(world.store.superblocks.state.active))


def _advance(world: World) -> None:
    """The next command of the key."""
    counters = world.store.counters
    counters.advance(KEY, max(counters.value(KEY), 5) + 1)


def _purge(world: World) -> None:
    world.store.commit.purge()


def _fold(world: World) -> None:
    world.store.fold()


def _crash(world: World) -> None:
    world.crash()


def _format(world: World) -> None:
    if not world.store.valid or world.store.superblocks.state.active:
        world.store.format(CONFIRMATION)


def _values(*bits: int | None) -> tuple:
    """The values of keys 1 to 4."""
    return tuple(enumerate(bits, 1))


_NO_VALUES = _values(None, None, None, None)
_SAVED = _values(0x3C00, 0x4000, None, None)

SCENARIOS = [
    Scenario(
        "first_commit",
        _formatted,
        _push("one"),
        _confirm(1),
        ends=("confirmed", "one", None, _NO_VALUES, 1, 0),
    ),
    Scenario(
        "update",
        _one,
        _push("two"),
        _confirm(2),
        ends=("confirmed", "two", "one", _SAVED, 2, 5),
    ),
    Scenario(
        "declare",
        _both,
        _stage("three", 0.5),
        _push("three"),
        ends=("trial", "three", "two", _SAVED, 1, 5),
        droppable=True,
    ),
    Scenario(
        "resume",
        _half_staged,
        _push("three"),
        ends=("trial", "three", "one", _SAVED, 1, 5),
    ),
    Scenario(
        "restage",
        _two_reverted,
        _stage("four", 0.4),
        _push("two"),
        ends=("trial", "two", "one", _SAVED, 1, 5),
        droppable=True,
    ),
    Scenario(
        "confirm",
        _trial,
        _confirm(2),
        ends=("confirmed", "two", "one", _SAVED, 2, 5),
    ),
    Scenario(
        "revert_by_attempts",
        _trial,
        *[_crash] * 5,
        ends=("confirmed", "one", None, _SAVED, 1, 5),
    ),
    Scenario(
        "reject_confirmed",
        _both,
        _reject,
        ends=("confirmed", "one", None, _SAVED, 1, 5),
    ),
    Scenario(
        "read_back",
        _staged_byte_bad,
        _push_twice,
        ends=("trial", "three", "one", _SAVED, 1, 5),
    ),
    Scenario(
        "below_floor",
        _newer_floor,
        _refused(EBADMSG, _rollback),
        _refused(EPERM, _push("one")),
        ends=("confirmed", "two", None, _SAVED, 2, 5),
    ),
    Scenario(
        "rollback",
        _both,
        _rollback,
        _save(3, 9),
        _rollback,
        ends=("confirmed", "two", "one", _values(0x3C00, 0x4000, 9, None), 1, 5),
    ),
    Scenario(
        "value_save",
        _one,
        _save(1, 0x1234),
        _save(3, 7),
        _save(1, 0x4321),
        _debounced,
        ends=("confirmed", "one", None, _values(0x4321, 0x2222, 7, None), 1, 5),
    ),
    Scenario(
        "trial_value",
        _trial,
        _save(1, 0x5555),
        _save(1, 0x6666),
        _save(4, 0x7777),
        _revert,
        _push("three"),
        _save(2, 0x3333),
        _confirm(),
        ends=("confirmed", "three", "one", _values(0x3C00, 0x3333, None, None), 1, 5),
    ),
    Scenario(
        "wear_fold",
        _both,
        _save(1, 0x1234),
        _fold,
        _fold,
        ends=("confirmed", "two", "one", _values(0x1234, 0x4000, None, None), 1, 5),
    ),
    Scenario(
        "counter",
        _one,
        _advance,
        _advance,
        ends=("confirmed", "one", None, _SAVED, 1, 7),
    ),
    Scenario("purge", _both, _purge, ends=("none", None, None, _SAVED, 1, 5)),
    Scenario(
        "boot_repair",
        _one_copy_bad,
        _crash,
        ends=("confirmed", "two", "one", _SAVED, 1, 5),
        rotten=True,
    ),
    Scenario(
        "format_empty",
        _nothing,
        _format,
        ends=("none", None, None, _NO_VALUES, 0, 0),
    ),
    Scenario(
        "format_over",
        _both,
        _format,
        ends=("none", None, None, _NO_VALUES, 0, 0),
        between=True,
    ),
    Scenario(
        "update_large",
        _one,
        _push("large"),
        _confirm(3),
        ends=("confirmed", "large", "one", _SAVED, 3, 5),
        layout=LARGE,
    ),
]
