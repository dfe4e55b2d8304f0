# SPDX-License-Identifier: MIT
"""How full the node is: told once at 80 %, and once more when it has come down to 70 %."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.images import SLEEP, an_image, ldi32
from bench.node import NodeBench
from hsx.node import commands, mailboxes
from hsx.node.occupancy import Occupancy

SLEEPER = an_image(*ldi32(0, 600_000), SLEEP)
NO_LIMITS = (0, 0, 0, 0, 0, 0)


class Saved:
    """Where saved bits go; only how full it is."""

    def __init__(self) -> None:
        self.full = 0

    def occupancy(self) -> int:
        return self.full


class Watched(NodeBench):
    """A bench whose occupancy is looked at each second."""

    def __init__(self, **options) -> None:
        super().__init__(**options)
        self.occupancy = Occupancy(self.node, self.node.emit, 8)

    def told(self) -> list[tuple[str, int, str]]:
        """What a look now says; the events before it are forgotten."""
        self.events.clear()
        self.occupancy.poll(self.clock.forward(1000))
        assert all(
            (e[0], e[1], e[2]["reason"]) == ("warning", 0, "occupancy") for e in self.events
        )
        return [(e[2]["source"], e[2]["percent"], e[2]["state"]) for e in self.events]


def values(bench: Watched, count: int) -> None:
    for oid in range(count):
        assert bench.node.values.register(1, oid, 0, NO_LIMITS, (None, None, None)) == 0


def some_commands(bench: Watched, count: int) -> None:
    for oid in range(count):
        assert commands.of(bench.node).register(1, oid, 0, None, "") == 0


def boxes(bench: Watched, count: int) -> None:
    bench.node.mailboxes = mailboxes.Mailboxes(bench.clock)
    for number in range(count):
        assert not isinstance(bench.node.mailboxes.bind(1, f"app:{number}", 0, 0), int)


@pytest.mark.requirement("P-93")
@pytest.mark.parametrize(
    ("source", "fill", "below", "enough", "percent"),
    [
        ("values", values, 51, 52, 81),
        ("commands", some_commands, 25, 26, 81),
        ("mailboxes", boxes, 12, 13, 81),
    ],
)
def test_eighty_percent_is_told_and_less_is_not(source, fill, below, enough, percent):
    bench = Watched()
    fill(bench, below)
    assert bench.told() == []
    bench = Watched()
    fill(bench, enough)
    assert bench.told() == [(source, percent, "high")]
    assert bench.told() == []


@pytest.mark.requirement("P-93")
def test_texts_count_where_they_are_scarcer_than_places():
    bench = Watched()
    for oid in range(4):
        bench.node.values.register(1, oid, 0, NO_LIMITS, ("n" * 900, None, None))
        commands.of(bench.node).register(1, oid, 0, None, "h" * 450)
    assert bench.told() == [("values", 87, "high"), ("commands", 87, "high")]


@pytest.mark.requirement("P-93")
def test_pids_and_memory_of_tasks_are_told_and_their_end_too():
    bench = Watched(pool=12288)
    pids = [bench.load(SLEEPER) for _ in range(7)]
    assert bench.told() == [("memory", 89, "high"), ("pids", 87, "high")]
    bench.node.kill(pids[0])
    assert bench.told() == []  # 75 %, between the two
    bench.node.kill(pids[1])
    assert bench.told() == [("memory", 64, "over"), ("pids", 62, "over")]


@pytest.mark.requirement("P-93")
def test_a_store_full_of_saved_values_is_told():
    bench = Watched()
    bench.node.saved = saved = Saved()
    saved.full = 79
    assert bench.told() == []
    saved.full = 100
    assert bench.told() == [("saved_values", 100, "high")]


def test_nothing_is_looked_at_twice_within_a_second():
    bench = Watched()
    bench.told()
    values(bench, 64)
    bench.events.clear()
    bench.occupancy.poll(bench.clock.forward(999))
    assert bench.events == []
    bench.occupancy.poll(bench.clock.forward(1))
    assert len(bench.events) == 1


@given(st.lists(st.integers(0, 100)))
def test_warnings_and_their_ends_take_turns_and_never_flutter(course):
    bench = Watched()
    bench.node.saved = saved = Saved()
    high = False
    for percent in course:
        saved.full = percent
        said = bench.told()
        if high:
            expected = [("saved_values", percent, "over")] if percent <= 70 else []
        else:
            expected = [("saved_values", percent, "high")] if percent >= 80 else []
        assert said == expected
        high ^= bool(said)
