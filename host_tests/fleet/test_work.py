# SPDX-License-Identifier: MIT
"""A roll-out that is carried out is in its file at each moment, whatever may end it then."""

import pytest

from fleet.model import (
    CREEPS,
    DIES,
    FINE,
    HAS,
    MUTE,
    NEW,
    OLD,
    Fleet,
    Interrupted,
    Model,
    a_rollout,
)
from hsxctl.fleet import record
from hsxctl.fleet import rollout as r
from hsxctl.fleet.work import carry_out

MAY_RUN_IT = (*r.MAY_RUN_IT, r.STUCK)
QUICK = {"healthy": 0.0, "confirm": True}


def a_fleet(*plans, stop_at=None):
    return Fleet({number: Model(plan) for number, plan in enumerate(plans, 1)}, stop_at)


def kept_in(folder, fleet, **options):
    """A roll-out over these models that has just begun."""
    rollout = a_rollout(fleet.models, **QUICK, **options)
    return record.Record(folder / "rollout.json", rollout, [], [], "bus")


def carried_out(kept, fleet, do=None):
    def note(number, node):
        assert record.load(kept.path).rollout.nodes[number] == node
        fleet._may_stop()

    carry_out(kept, do or fleet.do, note, lambda: fleet.now)
    return record.load(kept.path).rollout


def killed(kept, fleet):
    """Carried out until its process ends at once; what the file then says."""
    with pytest.raises(Interrupted):
        carried_out(kept, fleet)
    return record.load(kept.path)


def points(folder, *plans, **options):
    """All at which it may be killed once the file is there."""
    fleet = a_fleet(*plans)
    carried_out(kept_in(folder, fleet, **options), fleet)
    return range(fleet.points)


@pytest.mark.requirement("P-D3")
@pytest.mark.parametrize("plans", [(FINE, FINE), (FINE, CREEPS), (MUTE, DIES, FINE)], ids="-".join)
def test_file_names_each_node_that_may_run_the_set(tmp_path, plans):
    fleet = a_fleet(*plans)
    kept = kept_in(tmp_path, fleet, canaries=2, undo=True)

    def do(step, rollout):
        for number, event in fleet.do(step, rollout):
            saved = record.load(kept.path).rollout
            for other, model in fleet.models.items():
                assert model.runs != NEW or saved.nodes[other].state in MAY_RUN_IT, (step, other)
            assert saved.undoing or step.kind != r.UNDO
            yield number, event

    rollout = carried_out(kept, fleet, do)
    assert rollout == kept.rollout
    assert r.verdict(rollout) != "open"


@pytest.mark.requirement("P-D3")
def test_roll_out_that_is_killed_anywhere_goes_on_and_tells_no_node_twice(tmp_path):
    plans = (FINE, HAS, FINE)
    for point in points(tmp_path, *plans):
        fleet = a_fleet(*plans, stop_at={point})
        kept = killed(kept_in(tmp_path, fleet), fleet)
        r.resumed(kept.rollout)
        assert r.verdict(carried_out(kept, fleet)) == "done", point
        assert [model.sent for model in fleet.models.values()] == [1, 0, 1], point


@pytest.mark.requirement("P-D3")
def test_roll_out_that_is_killed_anywhere_can_be_taken_back(tmp_path):
    plans = (FINE, HAS, FINE)
    for point in points(tmp_path, *plans):
        fleet = a_fleet(*plans, stop_at={point})
        kept = killed(kept_in(tmp_path, fleet), fleet)
        r.resumed(kept.rollout)
        r.take_back(kept.rollout)
        assert r.verdict(carried_out(kept, fleet)) == "undone", point
        assert [model.runs for model in fleet.models.values()] == [OLD, NEW, OLD], point
