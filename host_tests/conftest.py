# SPDX-License-Identifier: MIT
"""What all tests share: how far hypothesis searches, which tests a run takes, what it records.

Profiles: `ci` is what `make test` runs, the same examples each time; `fuzz` searches long and at
random, HSX_FUZZ_EXAMPLES of each property. HYPOTHESIS_PROFILE chooses.
"""

import gc
import itertools
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import covered
import distribution
import requirements

# Tests of two tiers compare through it: what differs is to be seen.
pytest.register_assert_rewrite("judge.golden")

# Two busy cores make an example slow without anything being wrong: no test fails on a clock.
settings.register_profile(
    "ci",
    derandomize=True,
    print_blob=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "fuzz",
    settings.get_profile("ci"),
    derandomize=False,
    max_examples=int(os.environ.get("HSX_FUZZ_EXAMPLES", "100000")),
)
# Nodes of tests share the cores with many other tests, and may answer late.
os.environ.setdefault("HSXCTL_PATIENCE", "8")
# A shell that starts a job in the background has it ignore Ctrl-C, and so all that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--outcomes", type=Path, help="write how tests of requirements ended")
    parser.addoption("--shard", default="", help="shard of exhaustive tests, or all")
    parser.addoption("--within", type=float, help="leave out what takes longer, seconds in all")
    parser.addoption("--covered", action="store_true", help="record the lines that tests run")
    parser.addoption("--record-durations", action="store_true", help="write durations.json")


def pytest_configure(config: pytest.Config) -> None:
    register = config.pluginmanager.register
    config.option.shard = distribution.chosen_shard(config.option.shard)
    register(distribution.Distribution())
    is_worker = hasattr(config, "workerinput")
    if config.option.covered and (is_worker or not config.option.numprocesses):
        register(covered.Recorder())
    # The process that starts the others receives the reports of all tests.
    if config.option.outcomes and not is_worker:
        register(requirements.Recorder(config.option.outcomes))
    if config.option.record_durations and not is_worker:
        register(distribution.Stopwatch())


@pytest.fixture(autouse=True)
def board_without_power() -> Iterator[None]:
    """The simulated board of a test, with its watchdog, does not outlive the test."""
    yield
    if "fakes.machine" in sys.modules:
        sys.modules["fakes.machine"].sim_power_on()


def pytest_collection_finish() -> None:
    _forget()


def pytest_runtest_logfinish(nodeid: str) -> None:
    if next(_TESTS) % 100 == 99:
        _forget()


_TESTS = itertools.count()


def _forget() -> None:
    """The package collects garbage at each load. With all the objects that pytest keeps, that took
    most of the time of many tests: the collector need not look at them again."""
    gc.collect()
    gc.freeze()
