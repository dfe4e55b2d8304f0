# SPDX-License-Identifier: MIT
"""Which tests a run takes and which process runs them: shards, and the longest first.

`durations.json` holds the seconds of every test: by name where they are LONG or more, as a sum for
the others of a file. A run with `--record-durations` writes it anew.

A test that is exhaustive and slow is marked `sharded`. Of its cases a run takes those of one of
SHARDS shards; the hash of the commit's tree chooses which, so that the same commit is always
tested alike, and `--shard=K` or `--shard=all` chooses otherwise. Tests with an argument in their
marker are in one shard if it is the same. A test marked `complete`, with a reason, is in no shard:
`--shard=all` runs it, or its file named alone on the command line.
"""

import functools
import itertools
import json
import math
import os
import subprocess
import zlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).resolve().parents[1]
DURATIONS = ROOT / "host_tests/durations.json"

SHARDS = 8
ALL = "all"
LONG = 0.1  # seconds
_UNIT = 8.0  # seconds: a file that takes longer is shared by several processes
EMULATED = ("host_tests/target/", "host_tests/stock/", "host_tests/hsxctl/test_demo.py")
_OTHERS = ""  # the key under which a file's short tests are summed

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
        marker = item.get_closest_marker("sharded")
        if marker and marker.args:
            number = zlib.crc32(marker.args[0].encode())
        elif marker:
            test = item.nodeid.partition("[")[0]
            # Each test begins elsewhere, so that shards are of one length.
            first = zlib.crc32(test.encode())
            number = next(numbers.setdefault(test, itertools.count(first)))
        if marker and number % SHARDS != int(shard):
            out.append(item)
    return out


@functools.cache
def _shares(file: str) -> bool:
    """Whether the tests of a file share something that is made once for all of them."""
    places = [ROOT / file, (ROOT / file).with_name("conftest.py")]
    return any('scope="module"' in path.read_text() for path in places if path.exists())


def unit(nodeid: str, known: Durations) -> str:
    """The tests that one process runs together: those of a file, or one test of a long file."""
    file, _, name = nodeid.partition("::")
    tests = known.get(file, {})
    alone = name in tests and sum(tests.values()) > _UNIT and not _shares(file)
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


def _is_emulated(name: str, tests: dict[str, bool]) -> bool:
    """Whether a unit has an emulator's tests that are not done yet."""
    return name.startswith(EMULATED) and not all(tests.values())


class LongestFirst(LoadScopeScheduling):
    """Gives the processes units in the order in which the tests are collected. No more units with
    emulators run at once than there are cores: an emulator works even while it waits."""

    def __init__(self, config: pytest.Config, log: object) -> None:
        super().__init__(config, log)
        self._known = durations()
        self._cores = len(os.sched_getaffinity(0))

    def _split_scope(self, nodeid: str) -> str:
        return unit(nodeid, self._known)

    def _assign_work_unit(self, node: object) -> None:
        busy = [work for other, work in self.assigned_work.items() if other is not node]
        emulating = sum(any(_is_emulated(name, tests) for name, tests in w.items()) for w in busy)
        if emulating >= self._cores:
            # The first unit without an emulator comes to the front, if there is one.
            for name in self.workqueue:
                if not name.startswith(EMULATED):
                    self.workqueue.move_to_end(name, last=False)
                    break
        super()._assign_work_unit(node)


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

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        # Tests that this run did not take keep their recorded time.
        new, known = packed(self._seconds), durations()
        if session.config.option.shard != ALL:
            new = {file: known.get(file, {}) | tests for file, tests in new.items()}
        there = {file: t for file, t in (known | new).items() if (ROOT / file).exists()}
        DURATIONS.write_text(json.dumps(there, indent=0, ensure_ascii=False) + "\n")
