# SPDX-License-Identifier: MIT
"""The table of requirements claims what the tests show, and no more."""

import json
from types import SimpleNamespace

import pytest

import requirements
from requirements import IDS, Recorder, Row, filled, marked, problems, table, verdicts

GOOD = [Row(id, [], "links") for id in IDS]


def test_the_table_and_the_markers_agree():
    assert problems(table(requirements.TABLE.read_text()), marked()) == []


def rows(first: Row) -> list[Row]:
    return [first, *GOOD[1:]]


@pytest.mark.parametrize(
    ("claims", "tests"),
    [
        (GOOD[1:], {}),
        ([*GOOD, Row("P-108", [], "links")], {}),
        ([*GOOD, GOOD[0]], {}),
        (rows(Row("P-1", [], "")), {}),
        (rows(Row("P-1", [], "soon")), {}),
        (rows(Row("P-1", ["a.py::test_a"], "links")), {"a.py::test_a": {"P-1"}}),
        (rows(Row("P-1", ["a.py::test_a"], "")), {}),
        (rows(Row("P-1", ["a.py::test_a"], "")), {"a.py::test_a": {"P-2"}}),
        (rows(Row("P-1", ["a.py::test_a"], "")), {"a.py::test_a": set()}),
        (GOOD, {"a.py::test_a": {"P-1"}}),
        (GOOD, {"a.py::test_a": {"P-108"}}),
    ],
    ids=[
        "an id is missing",
        "an id is unknown",
        "an id comes twice",
        "neither test nor later",
        "later than anybody knows",
        "test and later",
        "no such test",
        "a marker for another id",
        "no marker",
        "a marker for what comes later",
        "a marker for an unknown id",
    ],
)
def test_a_wrong_claim_is_found(claims, tests):
    assert problems(claims, tests)


def test_right_claims_are_not_complained_of():
    assert problems(rows(Row("P-1", ["a.py::test_a"], "")), {"a.py::test_a": {"P-1"}}) == []


def test_only_a_test_that_passed_gives_a_pass():
    claim = [Row("P-1", ["a.py::test_a", "a.py::test_b"], ""), Row("P-2", [], "host")]
    passed = {"a.py::test_a": "passed", "a.py::test_b": "passed"}
    assert verdicts(claim, passed) == {"P-1": "pass", "P-2": "later: host"}
    for outcome in ("failed", "skipped"):
        assert verdicts(claim, passed | {"a.py::test_b": outcome})["P-1"] != "pass"
    assert verdicts(claim, {"a.py::test_a": "passed"})["P-1"] == "a.py::test_b not run"
    assert verdicts([Row("P-1", [], "")], passed) == {"P-1": "no test"}


def report(test: str, when: str, outcome: str, marker: str = "requirement") -> SimpleNamespace:
    nodeid = f"host_tests/{test}"
    return SimpleNamespace(nodeid=nodeid, when=when, outcome=outcome, keywords={marker: 1})


def recorded(tmp_path, *reports) -> dict[str, str]:
    path = tmp_path / "new" / "outcomes.json"
    recorder = Recorder(path)
    for each in reports:
        recorder.pytest_runtest_logreport(each)
    recorder.pytest_sessionfinish()
    return json.loads(path.read_text())


@pytest.mark.parametrize("bad", ["failed", "skipped"])
@pytest.mark.parametrize("when", ["setup", "call", "teardown"])
def test_every_parameter_and_every_phase_has_to_pass(tmp_path, when, bad):
    good = report("a.py::test_a[1]", "call", "passed")
    wrong = report("a.py::test_a[2]", when, bad)
    assert recorded(tmp_path, good) == {"a.py::test_a": "passed"}
    assert recorded(tmp_path, good, wrong) == {"a.py::test_a": bad}
    assert recorded(tmp_path, wrong, good) == {"a.py::test_a": bad}


def test_tests_without_the_marker_are_not_recorded(tmp_path):
    assert recorded(tmp_path, report("a.py::test_a", "call", "passed", "sim")) == {}


def test_markers_are_read_from_the_source(tmp_path):
    (tmp_path / "test_a.py").write_text(
        '@pytest.mark.sim\n@pytest.mark.requirement("P-1", "P-2")\ndef test_a():\n    pass\n'
        "def test_b():\n    pass\ndef no_test():\n    pass\n"
    )
    assert marked(tmp_path) == {"test_a.py::test_a": {"P-1", "P-2"}, "test_a.py::test_b": set()}


def test_the_table_is_filled_with_what_is_marked():
    text = (
        "| Id | What | Shown by |\n| P-1 | One. | later: host |\n| P-2 | Two. | later: links |\n"
    )
    after = filled(text, {"a.py::test_a": {"P-1"}, "a.py::test_b": {"P-1"}})
    assert table(after) == [
        Row("P-1", ["a.py::test_a", "a.py::test_b"], ""),
        Row("P-2", [], "links"),
    ]
    assert filled(after, {"a.py::test_a": {"P-1"}, "a.py::test_b": {"P-1"}}) == after
