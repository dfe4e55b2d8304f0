# SPDX-License-Identifier: MIT
"""docs/testing.md names every test that `make test` runs in part or not at all, and its time.

With HSX_WRITE_DOCS in the environment the times of the recorded durations are written.
"""

import ast
import os
import re
from collections import defaultdict
from pathlib import Path

import distribution

PAGE = Path(__file__).parents[2] / "docs/testing.md"
TESTS = distribution.ROOT / "host_tests"
_ROW = re.compile(r"^\| `(\S+)` \| (.*) \| (\d+) \|$", re.MULTILINE)


def marked() -> set[str]:
    """`folder/test_file.py::test` of each test with one of the markers."""
    found = set()
    for path in TESTS.rglob("test_*.py"):
        tree = ast.parse(path.read_text())
        names = {"sharded", "complete"}
        # A file may give its marker a name.
        for node in tree.body:
            if isinstance(node, ast.Assign) and "pytest.mark.complete" in ast.unparse(node.value):
                names.add(ast.unparse(node.targets[0]))
        for node in tree.body:
            marks = [ast.unparse(d) for d in getattr(node, "decorator_list", ())]
            if any(re.split(r"[(]", mark)[0].split(".")[-1] in names for mark in marks):
                found.add(f"{path.relative_to(TESTS)}::{node.name}")
    return found


def seconds() -> dict[str, int]:
    """The recorded time of all cases of each test."""
    found: dict[str, float] = defaultdict(float)
    for file, tests in distribution.durations().items():
        for name, took in tests.items():
            found[f"{file.removeprefix('host_tests/')}::{name.partition('[')[0]}"] += took
    return {test: round(took) for test, took in found.items()}


def test_page_names_all_that_a_run_leaves_out_and_how_long_it_takes():
    text = PAGE.read_text()
    took = seconds()
    assert {test for test, _, _ in _ROW.findall(text)} == marked()
    if "HSX_WRITE_DOCS" in os.environ:
        text = _ROW.sub(lambda row: f"| `{row[1]}` | {row[2]} | {took.get(row[1], 0)} |", text)
        PAGE.write_text(text)
    assert [row for row in _ROW.findall(text) if int(row[2]) != took.get(row[0], 0)] == []


def test_shards_of_the_page_are_those_of_a_run():
    assert distribution.SHARDS == 8 and "eight shards" in PAGE.read_text()
