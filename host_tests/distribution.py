# SPDX-License-Identifier: MIT
"""Which tests a run takes and which process runs them: shards, and the longest first.

`durations.json` holds the seconds of every test: by name where they are LONG or more, as a sum for
the others of a file. A run with `--record-durations` writes it anew.

A test that is exhaustive and slow is marked `sharded`. Of its cases a run takes those of one of
SHARDS shards; the hash of the commit's tree chooses which, so that the same commit is always
tested alike, and `--shard=K` or `--shard=all` chooses otherwise. A test marked `complete`, with the
reason, is in no shard: `--shard=all` runs it, or its name on the command line.
"""

import itertools
import json
import math
import subprocess
import zlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).resolve().parents[1]
DURATIONS = ROOT / "host_tests/durations.json"

SHARDS = 4
ALL = "all"
LONG = 0.1  # seconds
_UNIT = 8.0  # seconds: a file that takes longer is shared by several processes
_OTHERS = ""  # the key under which a file's short tests are summed
# The tests of these places share what takes long to make, so one process runs all of a file.
WHOLE = ("host_tests/stock/", "host_tests/native/", "host_tests/hsxctl/test_demo.py")

Durations = dict[str, dict[str, float]]  # file -> test name, or _OTHERS -> seconds


def durations(path: Path = DURATIONS) -> Durations:
    """The recorded seconds; empty where nothing was recorded."""
    return json.loads(path.read_text()) if path.exists() else {}


def packed(seconds: dict[str, float]) -> Durations:
    """What `durations.json` holds of {node id: seconds}."""
    found: Durations = defaultdict(lambda: defaultdict(float))
    for nodeid, took in seconds.items():
        file, _, name = nodeid.partition("::")
        found[file][name if took >= LONG else _OTHERS] += took
    return {
        file: {name: round(took, 2) for name, took in sorted(tests.items())}
        for file, tests in sorted(found.items())
    }


def chosen_shard(wish: str) -> str:
    """`wish` as a shard's number or ALL; "" chooses by the commit's tree. Raises UsageError."""
    if not wish:
        command = ["git", "rev-parse", "HEAD^{tree}"]
        tree = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        return str(int(tree.stdout.strip() or "0", 16) % SHARDS)
    if wish != ALL and wish not in map(str, range(SHARDS)):
        raise pytest.UsageError(f"--shard is {ALL} or a number from 0 to {SHARDS - 1}")
    return wish


def left_out(items: list[pytest.Item], shard: str) -> list[pytest.Item]:
    """The tests that belong to other shards."""
    if shard == ALL:
        return []
    named = len({item.nodeid.partition("::")[0] for item in items}) == 1
    out = [item for item in items if item.get_closest_marker("complete") and not named]
    numbers: dict[str, Iterator[int]] = {}
    for item in items:
        if item.get_closest_marker("sharded"):
            test = item.nodeid.partition("[")[0]
            # Each test begins elsewhere, so that shards are of one length.
            first = zlib.crc32(test.encode())
            number = next(numbers.setdefault(test, itertools.count(first)))
            if number % SHARDS != int(shard):
                out.append(item)
    return out


def unit(nodeid: str, known: Durations) -> str:
    """What one process runs together with this test: its file, or of a long file it alone."""
    file, _, name = nodeid.partition("::")
    tests = known.get(file, {})
    alone = name in tests and sum(tests.values()) > _UNIT and not file.startswith(WHOLE)
    return nodeid if alone else file


def longest_first(nodeids: list[str], known: Durations) -> list[str]:
    """The tests of each unit together, the longest unit first, those of unknown length before."""
    seconds: dict[str, float] = defaultdict(float)
    for nodeid in nodeids:
        file, _, name = nodeid.partition("::")
        seconds[unit(nodeid, known)] += known[file].get(name, 0.0) if file in known else math.inf
    for file, tests in known.items():
        if file in seconds:
            seconds[file] += tests.get(_OTHERS, 0.0)
    return sorted(nodeids, key=lambda nodeid: -seconds[unit(nodeid, known)])


def within(items: list[pytest.Item], seconds: float, known: Durations) -> list[pytest.Item]:
    """The longest tests, without which the others take so many seconds together at most."""
    took = {}
    for item in items:
        file, _, name = item.nodeid.partition("::")
        took[item] = known.get(file, {}).get(name, LONG / 4)
    out = sorted(items, key=lambda item: took[item])
    total = 0.0
    while out and total + took[out[0]] <= seconds:
        total += took[out.pop(0)]
    return out


class LongestFirst(LoadScopeScheduling):
    """Gives the processes units in the order in which the tests are collected."""

    def __init__(self, config: pytest.Config, log: object) -> None:
        super().__init__(config, log)
        self._known = durations()

    def _split_scope(self, nodeid: str) -> str:
        return unit(nodeid, self._known)


class Distribution:
    """The plugin."""

    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: object) -> LongestFirst:
        config.option.loadscopereorder = False
        return LongestFirst(config, log)

    def pytest_report_header(self, config: pytest.Config) -> str:
        return f"shard of exhaustive tests: {config.option.shard} of {SHARDS} (--shard)"

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        out = set(left_out(items, config.option.shard))
        if config.option.within:
            out |= set(
                within([i for i in items if i not in out], config.option.within, durations())
            )
        if out:
            config.hook.pytest_deselected(items=list(out))
            items[:] = [item for item in items if item not in out]
        if hasattr(config, "workerinput"):
            order = longest_first([item.nodeid for item in items], durations())
            place = {nodeid: number for number, nodeid in enumerate(order)}
            items.sort(key=lambda item: place[item.nodeid])


class Stopwatch:
    """Adds up what each test took, and writes `durations.json`."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[report.nodeid] += report.duration

    def pytest_sessionfinish(self) -> None:
        # Files that this run left out keep what was known of them.
        found = durations() | packed(self._seconds)
        there = {file: tests for file, tests in found.items() if (ROOT / file).exists()}
        DURATIONS.write_text(json.dumps(there, indent=0, ensure_ascii=False) + "\n")
