# SPDX-License-Identifier: MIT
"""The golden cases, judged inside the firmware. Images come from the node's card."""

import os
from pathlib import Path

import pytest

from hsxctl.simulate.qemu import QemuNode
from judge import golden
from repl import Repl

pytestmark = pytest.mark.target

FLAT_FIRMWARE = Path(__file__).parents[2] / "build/qemu_m4-flat/firmware.elf"


def ask(firmware, folder, call, *more) -> dict:
    """The answers of a node that is started for one call; `more`: code that it needs for it."""
    card = folder / "golden.img"
    golden.write_card(card)
    with QemuNode(firmware, sd=card) as node:
        node.wait_console("state=done")
        repl = Repl(node)
        try:
            for code in (golden.ON_NODE, *more):
                repl.run(code)
            return golden.answers(repl.run(call))
        finally:
            repl.close()


@pytest.fixture(scope="module")
def segmented(firmware, tmp_path_factory):
    folder = tmp_path_factory.mktemp("segmented")
    call = golden.programs_call(golden.NEED_NO_FLAT, golden.SEGMENTED)
    return ask(firmware, folder, call)


@pytest.fixture(scope="module")
def flat(tmp_path_factory):
    firmware = Path(os.environ.get("HSX_FLAT_FIRMWARE", FLAT_FIRMWARE))
    if not firmware.is_file():
        pytest.skip(f"no {firmware}: run 'make firmware-flat'")
    folder = tmp_path_factory.mktemp("flat")
    return ask(firmware, folder, golden.programs_call(golden.NEED_FLAT, golden.FLAT))


@pytest.fixture(scope="module")
def judged(firmware, tmp_path_factory):
    folder = tmp_path_factory.mktemp("judged")
    return ask(firmware, folder, golden.verdicts_call(golden.SEGMENTED))


@pytest.fixture(scope="module")
def played(firmware, tmp_path_factory):
    folder = tmp_path_factory.mktemp("played")
    return ask(firmware, folder, golden.scenarios_call(), golden.SCENARIOS_ON_NODE)


@pytest.mark.parametrize("name", golden.NEED_NO_FLAT)
def test_a_program_ends_as_in_the_reference_however_it_was_cut(segmented, name):
    golden.assert_as_in_the_reference(segmented, name)


@pytest.mark.parametrize("name", golden.NEED_FLAT)
def test_a_program_that_needs_the_flat_map_ends_as_in_the_reference(flat, name):
    golden.assert_as_in_the_reference(flat, name)


def test_programs_leave_nothing_behind(segmented):
    assert segmented["left"][0] is True


@pytest.mark.requirement("P-24")
@pytest.mark.parametrize("name", sorted(golden.IMAGES))
def test_an_image_gets_its_verdict_however_it_was_cut_and_leaves_nothing(judged, name):
    golden.assert_verdict(judged, name)


@pytest.mark.parametrize("name", golden.SCENARIOS)
def test_a_scenario_ends_as_in_the_reference(played, name):
    golden.assert_scenario(played, name)


def test_scenarios_leave_nothing_behind(played):
    assert played["left"][0] is True
