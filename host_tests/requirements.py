# SPDX-License-Identifier: MIT
"""Requirements of the provisioning contract: who shows each of them, and whether it did.

`docs/requirements.md` claims for each id the tests that show it, or `later: ` and the part that
brings it. A test says the same by `@pytest.mark.requirement("P-49", "P-50")`. A run of tests with
`--outcomes=FILE` (in one word: pytest reads it before it knows the option) writes what became of
the marked ones; the files of all runs together give `build/requirements.json`.

    python -m requirements            checks, writes build/requirements.json
    python -m requirements --write    puts the marked tests into the table
"""

import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
TABLE = ROOT / "docs" / "requirements.md"
OUTCOMES = ROOT / "build" / "requirements"
RESULT = ROOT / "build" / "requirements.json"

MARKER = "requirement"
PASSED = "passed"
PARTS = ("service", "links", "host", "boot", "boards", "future")

# Numbers whose rows have letters; the last five ids are of what the contract defers.
_LETTERS = {46: "abcde", 86: "abcd", 92: "abcdefgh"}
IDS = [f"P-{n}{letter}" for n in range(1, 108) for letter in _LETTERS.get(n, ("",))]
IDS += [f"P-D{n}" for n in range(1, 6)]

_ROW = re.compile(r"^\| (P-\S+) \| (.+) \| (.*) \|$", re.MULTILINE)

Tests = dict[str, set[str]]  # `folder/test_file.py::test_name` -> ids of its marker
Outcomes = dict[str, str]  # the same name -> `passed`, `failed` or `skipped`


class Row(NamedTuple):
    """A line of the table: names of tests, or the part that comes `later`, else empty."""

    id: str
    tests: list[str]
    later: str


def table(text: str) -> list[Row]:
    """The rows of the document, in its order."""
    return [
        Row(id, re.findall(r"`([^`]+)`", cell), cell.partition("later: ")[2])
        for id, _, cell in _ROW.findall(text)
    ]


def marked(folder: Path = TESTS) -> Tests:
    """Every test function of the folder, also those without a marker."""
    tests: Tests = {}
    for path in sorted(folder.rglob("test_*.py")):
        for name, ids in _functions(path.read_text()):
            tests[f"{path.relative_to(folder)}::{name}"] = ids
    return tests


def _functions(source: str) -> Iterator[tuple[str, set[str]]]:
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            calls = [d for d in node.decorator_list if isinstance(d, ast.Call)]
            marks = [d for d in calls if ast.unparse(d.func) == f"pytest.mark.{MARKER}"]
            yield node.name, {ast.literal_eval(arg) for mark in marks for arg in mark.args}


def problems(rows: list[Row], tests: Tests) -> list[str]:
    """What is wrong with the claims, whatever became of the tests. Empty where all is well."""
    wrong = []
    if [row.id for row in rows] != IDS:
        known, there = set(IDS), {row.id for row in rows}
        odd = sorted(known ^ there) or "order, or an id twice"
        wrong.append(f"the table has not exactly the ids of the contract: {odd}")
    claimed = {(test, row.id) for row in rows for test in row.tests}
    for row in rows:
        if bool(row.tests) == bool(row.later):
            wrong.append(f"{row.id}: either tests or later")
        if row.later and row.later not in PARTS:
            wrong.append(f"{row.id}: later: {row.later} is none of {', '.join(PARTS)}")
        for test in row.tests:
            if test not in tests:
                wrong.append(f"{row.id}: there is no {test}")
            elif row.id not in tests[test]:
                wrong.append(f"{row.id}: {test} has no marker for it")
    for test, ids in tests.items():
        wrong += [
            f"{id}: {test} shows it, not so the table" for id in ids if (test, id) not in claimed
        ]
    return wrong


def verdicts(rows: list[Row], outcomes: Outcomes) -> dict[str, str]:
    """Id -> `pass`, `later: ..`, or what is missing: the tests that did not pass, and how they
    ended instead."""
    return {row.id: _verdict(row, outcomes) for row in rows}


def _verdict(row: Row, outcomes: Outcomes) -> str:
    if row.later:
        return f"later: {row.later}"
    if not row.tests:
        return "no test"
    ended = {test: outcomes.get(test, "not run") for test in row.tests}
    bad = [f"{test} {how}" for test, how in ended.items() if how != PASSED]
    return ", ".join(bad) or "pass"


class Recorder:
    """A plugin for the process that hears of all tests: keeps how the marked ones ended."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._outcomes: Outcomes = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if MARKER not in report.keywords:
            return
        test = report.nodeid.partition("[")[0].removeprefix(f"{TESTS.name}/")
        # Of several parameters, and of setup, call and teardown, each has to pass.
        if report.outcome != PASSED:
            self._outcomes[test] = report.outcome
        elif report.when == "call":
            self._outcomes.setdefault(test, PASSED)

    def pytest_sessionfinish(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps(self._outcomes, indent=1, sort_keys=True) + "\n")


def filled(text: str, tests: Tests) -> str:
    """The document with the marked tests in its rows; rows of what comes later stay."""

    def row(found: re.Match[str]) -> str:
        id, what, cell = found.groups()
        names = [f"`{test}`" for test, ids in tests.items() if id in ids]
        return f"| {id} | {what} | {', '.join(names) or cell} |"

    return _ROW.sub(row, text)


def main(arguments: list[str]) -> int:
    text = TABLE.read_text()
    if arguments == ["--write"]:
        text = filled(text, marked())
        TABLE.write_text(text)
    rows = table(text)
    wrong = problems(rows, marked())
    if not arguments:
        outcomes: Outcomes = {}
        for path in OUTCOMES.glob("*.json"):
            outcomes |= json.loads(path.read_text())
        result = verdicts(rows, outcomes)
        RESULT.write_text(json.dumps(result, indent=1) + "\n")
        wrong += [f"{id}: {verdict}" for id, verdict in result.items() if not _is_final(verdict)]
        passed = list(result.values()).count("pass")
        print(f"{len(result)} requirements, {passed} pass, build/requirements.json")
    for line in wrong:
        print(f"requirements: {line}", file=sys.stderr)
    return bool(wrong)


def _is_final(verdict: str) -> bool:
    return verdict == "pass" or verdict.startswith("later: ")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
