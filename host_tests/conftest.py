# SPDX-License-Identifier: MIT
"""What all tests share: how far hypothesis searches, and where the outcomes of requirements go.

Profiles: `ci` is what `make test` runs, the same examples each time; `fuzz` searches long and at
random, HSX_FUZZ_EXAMPLES of each property. HYPOTHESIS_PROFILE chooses.
"""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from requirements import Recorder

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
# A shell that starts a job in the background has it ignore Ctrl-C, and so all that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--outcomes", type=Path, help="write how tests of requirements ended")


def pytest_configure(config: pytest.Config) -> None:
    path = config.getoption("outcomes")
    # Of several processes one hears of all tests.
    if path and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Recorder(path))
