# SPDX-License-Identifier: MIT
"""Figures in files and tables."""

import json

import pytest

from measure import record

FIGURES = {"vm.host_mips": 628.25, "vm.deep.er": 2, "native.text": 7906}


def test_a_dot_in_a_name_is_a_nested_object():
    assert record.nested(FIGURES) == {
        "vm": {"host_mips": 628.25, "deep": {"er": 2}},
        "native": {"text": 7906},
    }


def test_figures_come_back_from_their_nest():
    assert record.flat(record.nested(FIGURES)) == FIGURES


def test_the_first_run_has_none_before_it(tmp_path):
    path = tmp_path / "build/bench.json"
    assert record.write(path, FIGURES) == {}
    assert json.loads(path.read_text()) == record.nested(FIGURES)


def test_the_run_before_is_kept_beside(tmp_path):
    path = tmp_path / "bench.json"
    record.write(path, FIGURES)
    assert record.write(path, {"native.text": 1}) == FIGURES
    assert json.loads((tmp_path / "bench.last.json").read_text()) == record.nested(FIGURES)


@pytest.mark.parametrize(
    ("relation", "value", "verdict"),
    [("<=", 18, True), ("<=", 18.01, False), (">=", 18, True), (">=", 17.99, False)],
)
def test_a_target_is_met_up_to_its_limit(relation, value, verdict):
    assert record.met(value, (relation, 18)) is verdict


def test_the_table_says_which_target_is_missed():
    lines = record.table({"a": 2, "b": 2, "c": 2}, {"a": ("<=", 1), "b": (">=", 1)}).splitlines()
    assert [line.split()[-1] for line in lines] == ["MISSED", "met", "2"]


def test_the_difference_names_what_is_new_and_what_has_gone():
    lines = record.changes({"gone": 1, "up": 100}, {"new": 1, "up": 110}).splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["gone", "1", "-"],
        ["new", "-", "1"],
        ["up", "100", "110", "+10.0", "%"],
    ]
