# SPDX-License-Identifier: MIT
"""Whatever a node refuses, with the right number and nothing changed (build/refusals.json)."""

import contextlib
import io
import json
from pathlib import Path

import pytest

import hsx
from bench.runtime import RuntimeBench
from judge import refusals
from powercut.medium import Medium

OUT = Path("build/refusals.json")


@pytest.fixture(scope="module")
def outcomes():
    """What became of each case, in their order, on one node."""
    bench = RuntimeBench("nowhere", Medium(bytearray(b"\xff" * 0x8000)))
    bench.boot()
    hsx.attach(bench.runtime)
    names: dict = {}
    exec(refusals.ON_NODE, names)
    names["r"] = names["Refusals"](bench.runtime, lambda call, *args: call(*args))
    exec(refusals.setup(), names)
    rows = []
    for case in refusals.CASES:
        text = io.StringIO()
        with contextlib.redirect_stdout(text):
            exec(refusals.script(case), names)
        rows.append(json.loads(text.getvalue().splitlines()[-1]))
    refusals.record(rows, "host", OUT)
    return {row[0]: row for row in rows}


@pytest.mark.requirement("P-28", "P-47", "P-87", "P-99", "P-104")
@pytest.mark.parametrize("case", refusals.CASES, ids=lambda case: case.name)
def test_it_is_refused_and_nothing_has_changed(outcomes, case):
    _, errno, where, _, detail, unchanged = outcomes[case.name]
    assert errno == case.errno, detail
    assert unchanged
    assert where in ("begin", "write", "end", "verify", "commit", "boot"), where


def test_there_are_as_many_as_promised(outcomes):
    assert len(outcomes) >= 40
    assert len({row["name"] for row in json.loads(OUT.read_text())}) == len(outcomes)
