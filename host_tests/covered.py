# SPDX-License-Identifier: MIT
"""Records which lines of the package and of hsxctl each test file runs, in `build/coverage/`.

A tracer makes Python slower, most of all where a test repeats the same lines: of tests that take
LONGEST or more, nothing is recorded. With `--covered`, each process of pytest writes a file;
`combine` joins them, and writes how much of the package was run to `build/coverage.json`.
"""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import coverage
import pytest

from distribution import durations

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "build/coverage/data"
FIGURES = ROOT / "build/coverage.json"
SOURCES = ("firmware/hsx", "tools/hsxctl")
LONGEST = 5.0  # seconds


def _coverage(suffix: bool = False) -> coverage.Coverage:
    places = [str(ROOT / place) for place in SOURCES]
    return coverage.Coverage(str(DATA), data_suffix=suffix, source=places, config_file=False)


class Recorder:
    """The plugin, one in each process that runs tests."""

    def __init__(self) -> None:
        self._coverage = _coverage(suffix=True)
        self._coverage.start()  # what is imported while tests are collected counts
        self._known = durations()

    def pytest_collection_finish(self) -> None:
        self._coverage.stop()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        file, _, name = item.nodeid.partition("::")
        if self._known.get(file, {}).get(name, 0.0) >= LONGEST:
            return (yield)
        self._coverage.start()
        self._coverage.switch_context(file)
        try:
            return (yield)
        finally:
            self._coverage.stop()

    def pytest_sessionfinish(self) -> None:
        self._coverage.save()


def combine() -> None:
    """Joins what the processes have written. Raises coverage.CoverageException without any."""
    found = _coverage()
    found.combine()
    found.save()
    found.json_report(outfile=str(FIGURES), include=[str(ROOT / SOURCES[0] / "*")])


def tests_of(path: Path) -> list[str]:
    """The test files that run lines of this file, the one that runs most first."""
    lines: Counter[str] = Counter()
    if DATA.exists():
        data = coverage.CoverageData(str(DATA))
        data.read()
        for contexts in data.contexts_by_lineno(str(path.resolve())).values():
            lines.update(context for context in contexts if context)
    return [file for file, _ in lines.most_common()]


def share(part: str) -> tuple[int, int]:
    """Statements of a folder of the package that were run, and all of them."""
    files = json.loads(FIGURES.read_text())["files"]
    found = [
        figures["summary"]
        for name, figures in files.items()
        if name.startswith(f"{SOURCES[0]}/{part}/")
    ]
    return sum(one["covered_lines"] for one in found), sum(one["num_statements"] for one in found)


if __name__ == "__main__":
    combine()
