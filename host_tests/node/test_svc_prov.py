# SPDX-License-Identifier: MIT
"""Service module 9: an app without a grant sees itself and nothing else (P-86)."""

import json

import pytest

from bench.node import NodeBench
from node.calls import behind, calling, results

INFO, LOAD, ABORT, FMAP = range(4)
OK, EPERM = 0, 2


@pytest.fixture
def ran(tmp_path):
    """ran(calls...) -> the node after them, and the PID."""

    def run(*calls):
        bench = NodeBench()
        made = [(9, *call) for call in calls]
        pid = bench.load(calling(tmp_path, *made, data="out: .zero 400"))
        bench.poll()
        return bench, pid

    return run


@pytest.mark.requirement("P-86a")
def test_an_app_sees_its_own_row_of_ps(ran):
    bench, pid = ran((INFO, 1, "out", 400))
    status, size = results(bench, pid, 1)[0]
    assert status == OK
    row = json.loads(behind(bench, pid, 1, size))
    assert (row["pid"], row["app_name"], row["state"]) == (pid, "app", "ready")
    assert set(row) == set(bench.node.ps()[0])


@pytest.mark.parametrize("room", [0, 1, 10])
def test_what_does_not_fit_is_cut(ran, room):
    bench, pid = ran((INFO, 1, "out", room))
    assert results(bench, pid, 1) == [(OK, room)]
    assert len(behind(bench, pid, 1, 400).rstrip(b"\0")) == room


@pytest.mark.requirement("P-86a")
@pytest.mark.parametrize("pid", [0, 2, 0x10001, 0xFFFFFFFF])
def test_no_app_sees_another(ran, pid):
    bench, own = ran((INFO, pid, "out", 400))
    assert results(bench, own, 1) == [(EPERM, pid)]


@pytest.mark.parametrize("function", [LOAD, ABORT, FMAP])
def test_without_a_grant_nothing_may_be_done(ran, function):
    bench, pid = ran((function, 1, "out", 1))
    assert results(bench, pid, 1) == [(EPERM, 1)]
    assert bench.node.ps()[0]["state"] == "stopped"
