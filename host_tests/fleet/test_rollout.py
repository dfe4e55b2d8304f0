# SPDX-License-Identifier: MIT
"""What a roll-out decides: all plans of its nodes, all points at which it may be interrupted."""

import contextlib
import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.model import (
    ABSENT,
    CREEPS,
    DEAF,
    DIES,
    ENDS_WELL,
    FAULTS,
    FINE,
    FLAPS,
    HAS,
    KEEPS,
    MUTE,
    NEW,
    OLD,
    OTHER,
    PLANS,
    REFUSES,
    SLOW,
    STRAYS,
    UNWELL,
    WHIMS,
    Fleet,
    Interrupted,
    Model,
    a_rollout,
)
from hsxctl.fleet import rollout as r


def rolled(*plans, stop_at=None, **options):
    fleet = Fleet({number: Model(plan) for number, plan in enumerate(plans, 1)}, stop_at)
    return fleet, fleet.run(a_rollout(fleet.models, **options))


def states(rollout):
    return [node.state for _, node in sorted(rollout.nodes.items())]


# ---- how it ends -------------------------------------------------------------------------------


def test_nodes_that_are_well_all_run_the_set():
    fleet, rollout = rolled(*[FINE] * 5)
    assert (states(rollout), r.verdict(rollout)) == ([r.GOOD] * 5, "done")
    assert all(model.runs == NEW and model.sent == 1 for model in fleet.models.values())
    sent = [step.nodes for step in fleet.steps if step.kind == r.SEND]
    assert sent == [(1,), (2, 3, 4, 5)]


def test_waves_are_as_large_as_was_asked():
    fleet, _ = rolled(*[FINE] * 8, canaries=2, wave=3)
    sent = [step.nodes for step in fleet.steps if step.kind == r.SEND]
    assert sent == [(1, 2), (3, 4, 5), (6, 7, 8)]


@pytest.mark.parametrize("plan", [FAULTS, CREEPS, UNWELL, REFUSES, DIES, DEAF])
@pytest.mark.parametrize("undo", [False, True])
def test_bad_canary_stops_it_and_the_others_are_never_touched(plan, undo):
    fleet, rollout = rolled(FINE, plan, FINE, FINE, canaries=2, undo=undo, most_failures=1.0)
    assert [fleet.models[number].sent for number in (3, 4)] == [0, 0]
    assert states(rollout)[2:] == [r.WAITING, r.WAITING]
    if undo:
        assert fleet.models[1].runs == OLD
        assert r.verdict(rollout) == ("stuck" if plan == DIES else "undone")
    else:
        assert (fleet.models[1].runs, r.verdict(rollout)) == (NEW, "halted")


@pytest.mark.parametrize(
    ("plan", "state", "reason"),
    [
        (FINE, r.GOOD, ""),
        (WHIMS, r.GOOD, ""),
        (MUTE, r.GOOD, ""),
        (KEEPS, r.GOOD, ""),
        (HAS, r.HAD, ""),
        (ABSENT, r.ABSENT, "does not answer"),
        (REFUSES, r.FAILED, "ENOSPC"),
        (FAULTS, r.FAILED, "has gone back by itself"),
        (CREEPS, r.SICK, "pump has faulted"),
        (UNWELL, r.SICK, "level is 9"),
        (DEAF, r.FAILED, "ETIMEDOUT"),
        (DIES, r.LOST, "does not answer"),
    ],
)
def test_each_end_of_a_node_has_its_state_and_its_reason(plan, state, reason):
    _, rollout = rolled(plan, canaries=0)
    node = rollout.nodes[1]
    assert (node.state, node.reason) == (state, reason)
    assert node.proved == (plan not in (ABSENT, DIES))


def test_failures_below_the_share_do_not_stop_it_and_one_more_does():
    _, rollout = rolled(FINE, FINE, REFUSES, FINE, FINE, wave=1, most_failures=0.34)
    assert (states(rollout)[-1], r.verdict(rollout)) == (r.GOOD, "partly")
    _, rollout = rolled(FINE, FINE, REFUSES, FINE, FINE, wave=1, most_failures=0.33)
    assert (states(rollout)[-1], r.verdict(rollout)) == (r.WAITING, "halted")


def test_share_that_is_just_reached_does_not_stop_it():
    _, rollout = rolled(FINE, REFUSES, FINE, canaries=0, wave=1, most_failures=0.5)
    assert (states(rollout)[-1], r.verdict(rollout)) == (r.GOOD, "partly")


def test_node_that_ran_the_set_before_is_never_told_nor_taken_back():
    fleet, rollout = rolled(HAS, FINE, CREEPS, canaries=2, undo=True)
    assert (fleet.models[1].sent, fleet.models[1].undone, fleet.models[1].runs) == (0, 0, NEW)
    assert states(rollout) == [r.HAD, r.UNDONE, r.UNDONE]


def test_node_that_does_not_go_back_is_stuck_and_tried_again_when_resumed():
    fleet, rollout = rolled(KEEPS, CREEPS, canaries=2, undo=True)
    assert (states(rollout), r.verdict(rollout)) == ([r.STUCK, r.UNDONE], "stuck")
    fleet.models[1].plan = FINE
    r.resumed(rollout)
    rollout = fleet.run(rollout)
    assert (states(rollout), r.verdict(rollout)) == ([r.UNDONE, r.UNDONE], "undone")


def test_whole_roll_out_is_taken_back_on_demand():
    fleet, rollout = rolled(FINE, HAS, FINE)
    r.resumed(rollout)
    r.take_back(rollout)
    rollout = fleet.run(rollout)
    assert states(rollout) == [r.UNDONE, r.HAD, r.UNDONE]
    assert [model.runs for model in fleet.models.values()] == [OLD, NEW, OLD]


def test_nodes_that_failed_are_told_once_more_when_a_person_says_so():
    fleet, rollout = rolled(FINE, REFUSES, ABSENT, FINE, most_failures=1.0)
    assert states(rollout) == [r.GOOD, r.FAILED, r.ABSENT, r.GOOD]
    for number in (2, 3):
        fleet.models[number].plan = FINE
    r.resumed(rollout)
    r.retry(rollout)
    rollout = fleet.run(rollout)
    assert (states(rollout), r.verdict(rollout)) == ([r.GOOD] * 4, "done")
    assert [model.sent for model in fleet.models.values()] == [1, 2, 1, 1]


def test_node_that_was_not_well_is_watched_once_more_when_a_person_says_so():
    fleet, rollout = rolled(UNWELL, FINE)
    assert states(rollout) == [r.SICK, r.WAITING]
    fleet.models[1].plan = FINE
    r.resumed(rollout)
    r.retry(rollout)
    rollout = fleet.run(rollout)
    assert (states(rollout), r.verdict(rollout)) == ([r.GOOD] * 2, "done")
    assert fleet.models[1].sent == 1


def test_set_is_confirmed_only_after_the_node_was_well_for_long_enough():
    fleet, rollout = rolled(FINE, confirm=True, healthy=3.0)
    kinds = [step.kind for step in fleet.steps]
    assert kinds == [r.LOOK, r.SEND, *[r.WATCH] * 4, r.CONFIRM, r.PROVE]
    assert rollout.nodes[1].state == r.GOOD


def test_trouble_starts_the_time_that_a_node_has_to_be_well_anew():
    fleet, rollout = rolled(FLAPS, confirm=True, healthy=3.0)
    assert rollout.nodes[1].state == r.GOOD
    assert [step.kind for step in fleet.steps].count(r.WATCH) == 6


def test_time_before_an_interruption_does_not_count():
    rollout = a_rollout({1: Model(FINE)}, healthy=5.0)
    node = rollout.nodes[1]
    node.state = r.WATCHED
    r.happened(rollout, 1, r.Seen(NEW), 10.0)
    r.resumed(rollout)
    r.happened(rollout, 1, r.Seen(NEW), 1000.0)
    assert node.state == r.WATCHED
    r.happened(rollout, 1, r.Seen(NEW), 1005.0)
    assert node.state == r.GOOD


def test_node_whose_answer_was_lost_is_not_judged_while_it_reads_the_set_back():
    fleet, rollout = rolled(SLOW, FINE)
    assert (states(rollout), r.verdict(rollout)) == ([r.GOOD] * 2, "done")
    assert fleet.models[1].sent == 1
    assert r.FAILED not in fleet.seen_states[1] and r.LOST not in fleet.seen_states[1]


def test_node_that_says_for_ever_that_it_may_run_the_set_yet_has_failed():
    fleet = Fleet({1: Model(SLOW)})
    rollout = a_rollout(fleet.models, patience=20.0)
    send = fleet.models[1].send

    def stays():
        answer = send()
        fleet.models[1].reads = 1000
        return answer

    fleet.models[1].send = stays
    rollout = fleet.run(rollout)
    assert states(rollout) == [r.FAILED]
    looks = [step.kind for step in fleet.steps].count(r.LOOK)
    assert 20 <= looks <= 22


def test_node_that_does_not_answer_is_lost_when_patience_is_at_its_end():
    fleet, rollout = rolled(DIES, FINE, patience=20.0)
    assert states(rollout) == [r.LOST, r.WAITING]
    assert 20 <= [step.kind for step in fleet.steps].count(r.LOOK) <= 23


def test_node_that_goes_back_to_something_else_is_stuck():
    _, rollout = rolled(STRAYS, CREEPS, canaries=2, undo=True)
    assert states(rollout) == [r.STUCK, r.UNDONE]
    assert rollout.nodes[1].reason == f"runs {OTHER}, not what it ran before"


def rolled_and_changed(*plans, runs, **options):
    """`runs`: what nodes run by the time they are asked for the last time, by number."""
    fleet = Fleet({number: Model(plan) for number, plan in enumerate(plans, 1)})
    do = fleet._do

    def changes(kind, model):
        if kind == r.PROVE:
            for number, digest in runs.items():
                fleet.models[number].runs = digest
        return do(kind, model)

    fleet._do = changes
    return fleet, fleet.run(a_rollout(fleet.models, **options))


@pytest.mark.parametrize("undo", [False, True])
def test_node_that_took_the_set_after_all_is_watched_or_taken_back(undo):
    """It was called failed, and runs the set when it is asked for the last time."""
    fleet = Fleet({1: Model(REFUSES), 2: Model(FINE)})
    do, ran = fleet._do, []

    def takes_it(kind, model):
        if kind == r.PROVE and model is fleet.models[1] and not ran:
            ran.append(True)
            model.plan = FINE
            model.send()
        return do(kind, model)

    fleet._do = takes_it
    rollout = fleet.run(a_rollout(fleet.models, undo=undo, canaries=2))
    assert fleet.models[1].runs == (OLD if undo else NEW)
    assert states(rollout)[0] == (r.UNDONE if undo else r.GOOD)


def test_what_is_undone_after_the_proof_is_proved_again():
    fleet, rollout = rolled_and_changed(FINE, FINE, runs={1: OLD}, undo=True)
    assert [step.kind for step in fleet.steps][-3:] == [r.PROVE, r.UNDO, r.PROVE]
    assert states(rollout) == [r.FAILED, r.UNDONE]
    assert rollout.nodes[2].proved and rollout.nodes[2].now == OLD


@pytest.mark.parametrize("runs", [OLD, OTHER, ""], ids=["old", "other", "nothing"])
@pytest.mark.parametrize("plan", [FINE, HAS])
def test_node_that_runs_the_set_no_more_at_the_end_has_failed(plan, runs):
    _, rollout = rolled_and_changed(FINE, plan, runs={2: runs})
    assert (states(rollout), r.verdict(rollout)) == ([r.GOOD, r.FAILED], "halted")
    node = rollout.nodes[2]
    assert (node.now, node.proved, node.reason) == (runs, True, "has gone back by itself")


def test_node_that_runs_something_new_after_it_was_taken_back_is_stuck():
    _, rollout = rolled_and_changed(FINE, CREEPS, runs={1: OTHER}, canaries=2, undo=True)
    assert (states(rollout), r.verdict(rollout)) == ([r.STUCK, r.UNDONE], "stuck")
    assert rollout.nodes[1].reason == "has changed again"


# ---- laws --------------------------------------------------------------------------------------


def obeys(fleet, rollout, plans, options):
    """What holds however it went."""
    models, nodes = fleet.models, rollout.nodes
    canaries = {number for number, node in nodes.items() if node.wave == 0}
    assert len(canaries) <= options["canaries"]
    began: set[int] = set()
    for step in fleet.steps:
        if step.kind == r.SEND:
            waves = {nodes[number].wave for number in step.nodes}
            assert len(waves) == 1
            began |= waves
    for number, node in nodes.items():
        model = models[number]
        if node.wave not in began:
            assert (model.sent, model.undone) == (0, 0)
        if node.state in (r.WAITING, r.HAD, r.ABSENT):
            assert (model.sent, model.undone) == (0, 0)
        if node.proved:
            assert node.now == model.runs
        else:
            assert model.is_mute()
        if node.state in (r.GOOD, r.HAD, r.SICK):
            assert model.runs == NEW
        if node.state in (r.FAILED, r.UNDONE, r.WAITING):
            assert model.runs == OLD
        if plans[number - 1] == FAULTS:
            assert model.sent <= 1  # what has gone back is not told again
        if node.state == r.GOOD:
            assert plans[number - 1] in ENDS_WELL and model.bank == "confirmed"
        assert node.state not in (r.NEW, r.UNSURE, r.SENDING, r.WATCHED, r.STEADY, r.UNDOING)
    if began - {0} and canaries:
        went = fleet.seen_states
        assert all(r.GOOD in went[number] for number in canaries)
    if r.verdict(rollout) in ("undone", "stuck"):
        left = [n for n, m in models.items() if m.runs == NEW and m.plan != HAS]
        assert all(nodes[number].state == r.STUCK for number in left)
    if r.verdict(rollout) == "done":
        assert all(model.runs == NEW for model in models.values())
    assert json.loads(json.dumps(r.to_data(rollout)))["digest"] == NEW


OPTIONS = [
    {"canaries": canaries, "undo": undo, "confirm": confirm, "most_failures": share}
    for canaries, undo, confirm, share in ((1, True, False, 0.0), (2, False, True, 0.5))
]


@pytest.mark.parametrize("options", OPTIONS)
def test_law_holds_for_all_that_three_nodes_may_do(options):
    for plans in itertools.product(PLANS, repeat=3):
        fleet, rollout = rolled(*plans, **options)
        obeys(fleet, rollout, plans, options)


# Of each kind of trouble one among nodes that are well, at each place.
MIXED = [
    plans
    for plan in PLANS
    for plans in ((plan, FINE, FINE), (FINE, plan, FINE), (FINE, FINE, plan))
]


@pytest.mark.requirement("P-D3")
@pytest.mark.parametrize("options", OPTIONS)
def test_interruption_at_every_point_changes_no_end(options):
    for plans in MIXED:
        whole, uncut = rolled(*plans, **options)
        for point in range(whole.points):
            fleet, rollout = rolled(*plans, stop_at={point}, **options)
            obeys(fleet, rollout, plans, options)
            assert [m.runs for m in fleet.models.values()] == [
                m.runs for m in whole.models.values()
            ], (plans, point)
            assert r.verdict(rollout) == r.verdict(uncut), (plans, point)


@given(
    st.lists(st.sampled_from(PLANS), min_size=1, max_size=12),
    st.sets(st.integers(0, 300), max_size=8),
    st.integers(0, 4),
    st.integers(0, 5),
    st.booleans(),
    st.booleans(),
    st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0]),
)
def test_law_holds_for_any_fleet_and_any_interruptions(
    plans, stop_at, canaries, wave, undo, confirm, most_failures
):
    options = {
        "canaries": canaries,
        "wave": wave,
        "undo": undo,
        "confirm": confirm,
        "most_failures": most_failures,
    }
    fleet, rollout = rolled(*plans, stop_at=stop_at, **options)
    obeys(fleet, rollout, plans, options)


@given(
    st.lists(st.sampled_from(PLANS), min_size=1, max_size=8),
    st.integers(0, 200),
    st.integers(0, 3),
)
def test_what_was_interrupted_can_be_taken_back_at_any_point(plans, point, canaries):
    fleet = Fleet({number: Model(plan) for number, plan in enumerate(plans, 1)}, {point})
    rollout = a_rollout(fleet.models, canaries=canaries)
    fleet.kept = r.to_data(rollout)
    with contextlib.suppress(Interrupted):
        fleet._drive(rollout)
    rollout = r.from_data(fleet.kept)
    r.resumed(rollout)
    r.take_back(rollout)
    rollout = fleet.run(rollout)
    for number, model in fleet.models.items():
        if model.plan == HAS:
            assert model.runs == NEW
        elif model.plan not in (DIES, KEEPS):
            assert model.runs == OLD, (number, rollout.nodes[number])
        elif model.runs == NEW:
            assert rollout.nodes[number].state == r.STUCK


def test_file_that_names_no_known_state_is_refused():
    data = r.to_data(a_rollout({1: Model(FINE)}))
    data["nodes"]["1"]["state"] = "dizzy"
    with pytest.raises(ValueError, match="no known state"):
        r.from_data(data)
