# SPDX-License-Identifier: MIT
"""What tests on MicroPython's unix port share: the program, and a way to run scripts in it.

HSX_SIM names another program than the one that `make sim` builds.
"""

import os
import subprocess
from pathlib import Path

import pytest

from hsxctl.simulate.unix import command
from waiting import PATIENCE

_PROGRAM = Path(__file__).parents[2] / "build/sim/micropython"


@pytest.fixture(scope="session")
def program():
    """The program."""
    path = Path(os.environ.get("HSX_SIM", _PROGRAM))
    if not path.is_file():
        pytest.skip(f"no {path}: run 'make sim'")
    return path


@pytest.fixture(scope="session")
def script(program):
    """Runs a script in a process of its own: what it printed. Fails if it raises."""

    def run(text, sd=None, fram=None):
        done = subprocess.run(
            command(program, text, sd, fram), capture_output=True, text=True, timeout=PATIENCE
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
