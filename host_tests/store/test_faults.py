# SPDX-License-Identifier: MIT
import pytest

from hsx.store.faults import SIZE, Faults
from hsx.store.layout import FAULTS_COPY
from powercut.medium import TORN, Medium, prefix

APPS = ("pump", "tank", "valve", "fan")


def opened(part: Medium) -> Faults:
    faults = Faults(part)
    faults.open()
    return faults


def a_node(notes: int) -> tuple[Medium, Faults]:
    """One that has noted so many faults of tasks, of other apps each, since it started."""
    part = Medium(bytearray(2 * FAULTS_COPY))
    faults = opened(part)
    for at in range(notes):
        faults.note("task", 1, APPS[at], at)
    return part, faults


def test_the_two_records_take_turns():
    part, _ = a_node(4)
    places = [at for at, _ in part.log]
    assert sorted(places[:2]) == [0, FAULTS_COPY]
    assert places[2:] == places[:2]


@pytest.mark.parametrize("torn", TORN)
@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("notes", range(5))
def test_a_note_that_is_torn_leaves_the_one_before(notes, restarted, torn):
    part, faults = a_node(notes)
    if restarted:
        faults = opened(part)
    before, found = bytes(part.memory), faults.facts()
    part.log.clear()
    faults.note("watchdog", 2, "tank", 9)
    for cut in range(SIZE):
        memory = prefix(before, part.log, cut, torn)
        assert opened(Medium(memory)).facts() == found, cut


@pytest.mark.parametrize("notes", range(5))
def test_a_restart_goes_on_behind_the_newest_note(notes):
    part, _ = a_node(notes)
    opened(part).note("brown-out", 2, "last", 9)
    found = opened(part).facts()
    assert (found["task"], found["brown-out"]) == (notes, 1)
    assert (found["last"], found["bank"], found["name"]) == ("brown-out", 2, "last")
