# SPDX-License-Identifier: MIT
"""The golden cases, judged in MicroPython's unix port: one process for all."""

import pytest

from judge import golden

pytestmark = pytest.mark.sim

BOTH = (golden.SEGMENTED, golden.FLAT)
NAMES = {golden.SEGMENTED: golden.NEED_NO_FLAT, golden.FLAT: sorted(golden.PROGRAMS)}
RUNS = [(memory, name) for memory in BOTH for name in NAMES[memory]]
_NEXT = "next\n"


def named(value):
    """A test's name says the memory map in words."""
    return {golden.SEGMENTED: "segmented", golden.FLAT: "flat"}.get(value, value)


each_map = pytest.mark.parametrize("memory", BOTH, ids=named)


@pytest.fixture(scope="module")
def told(script, tmp_path_factory):
    """All answers, by what was asked, and memory map."""
    card = tmp_path_factory.mktemp("golden") / "card.img"
    golden.write_card(card)
    calls = {("programs", memory): golden.programs_call(NAMES[memory], memory) for memory in BOTH}
    calls |= {("verdicts", memory): golden.verdicts_call(memory) for memory in BOTH}
    calls["scenarios"] = golden.scenarios_call()
    asked = f"\nprint({_NEXT!r}, end='')\n".join(calls.values())
    parts = script(
        "\n".join(["import boot", golden.ON_NODE, golden.SCENARIOS_ON_NODE, asked]), card
    ).split(_NEXT)
    return dict(zip(calls, map(golden.answers, parts), strict=True))


@pytest.mark.parametrize(("memory", "name"), RUNS, ids=named)
def test_a_program_ends_as_in_the_reference_however_it_was_cut(told, memory, name):
    golden.assert_as_in_the_reference(told["programs", memory], name)


@each_map
def test_programs_leave_nothing_behind(told, memory):
    assert told["programs", memory]["left"][0] is True


@pytest.mark.requirement("P-24")
@each_map
@pytest.mark.parametrize("name", sorted(golden.IMAGES))
def test_an_image_gets_its_verdict_however_it_was_cut_and_leaves_nothing(told, memory, name):
    golden.assert_verdict(told["verdicts", memory], name)


@pytest.mark.parametrize("name", golden.SCENARIOS)
def test_a_scenario_ends_as_in_the_reference(told, name):
    golden.assert_scenario(told["scenarios"], name)


def test_scenarios_leave_nothing_behind(told):
    assert told["scenarios"]["left"][0] is True
