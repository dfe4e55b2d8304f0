# SPDX-License-Identifier: MIT
"""A small edition of `run.py`: fewer places, every scenario, every seeded bug."""

import inspect
import sys

import pytest

from powercut import bugs, cuts, run
from powercut.medium import Medium, prefix
from powercut.scenarios import SCENARIOS

SEED = 5


@pytest.mark.requirement("P-50", "P-90", "P-100")
@pytest.mark.sharded
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_no_cut_and_no_rotten_copy_breaks_the_invariant(scenario):
    tally = cuts.run_scenario(scenario, 60, 300, SEED)
    assert tally.lost == [], f"seed {SEED}"
    assert tally.total() > 500


@pytest.mark.sharded
@pytest.mark.parametrize("bug", bugs.NAMES)
def test_a_seeded_bug_is_found(bug):
    assert run.hunt(bug, 150, 500, SEED)


def code_of_the_store():
    """What the modules of the store, and their classes, are made of."""
    modules = [module for name, module in sys.modules.items() if name.startswith("hsx.store.")]
    found = {module.__name__: dict(vars(module)) for module in modules}
    for module in modules:
        for name, part in vars(module).items():
            if inspect.isclass(part):
                found[f"{module.__name__}.{name}"] = dict(vars(part))
    return found


@pytest.mark.parametrize("bug", bugs.NAMES)
def test_a_seeded_bug_is_taken_out_again_however_its_hunt_ends(bug):
    before = code_of_the_store()
    with bugs.seeded(bug):
        assert code_of_the_store() != before
    assert code_of_the_store() == before
    with pytest.raises(cuts.Broken), bugs.seeded(bug):
        raise cuts.Broken("found")
    assert code_of_the_store() == before


@pytest.mark.sharded
@pytest.mark.parametrize("part", range(4))
def test_no_flipped_bit_of_superblocks_or_directories_starts_what_it_must_not(part):
    assert run.run_damage(300, part, 4)[1] == []


def test_a_cut_case_leaves_the_same_cells_as_its_recorded_writes():
    scenario = next(s for s in SCENARIOS if s.name == "confirm")
    reference = cuts.Reference(scenario)
    for at in range(reference.total):
        for torn in ("old", "garbage"):
            cells, _ = cuts.cut_run(reference, at, torn)
            assert cells == prefix(reference.start, reference.log, at, torn)


def test_a_case_runs_alone_by_its_id(capsys):
    for case in ("update/b123/garbage", "update/w5/rot0/b7/old", "damage/random/3"):
        assert run.main(["--case", case]) == 0
    with bugs.seeded("confirm_once"):
        assert run.main(["--case", "confirm/w1/rot0"]) == 1
    assert "confirm/w1/rot0: shows" in capsys.readouterr().out


def test_a_torn_byte_is_neither_old_nor_new():
    part = Medium(bytearray(4), 1, "garbage")
    with pytest.raises(cuts.PowerCut):
        part.write(0, b"\xff\xff")
    assert part.memory[0] == 0xFF
    assert part.memory[1] not in (0, 0xFF)
