# SPDX-License-Identifier: MIT
"""Firmware of STM32 boards for tests: it takes a full MicroPython checkout, which has ST's HAL."""

import os
import subprocess
from pathlib import Path

import pytest

from boardcheck import ROOT


@pytest.fixture(scope="session")
def checkout() -> Path:
    """A MicroPython source with ST's HAL."""
    named = Path(os.environ.get("MICROPYTHON_DIR", ""))
    if not (named / "lib" / "stm32lib" / "CMSIS").exists():
        pytest.skip("no full checkout: MICROPYTHON_DIR names none with lib/stm32lib/CMSIS")
    return named


@pytest.fixture(scope="session")
def make(checkout: Path):
    """Runs `make TARGET BOARD=NAME` with it; gives what it prints."""

    def run(target: str, name: str) -> str:
        # What `make setup` makes is there already.
        words = ["-s", "-o", "setup", target, f"BOARD={name}", f"MICROPYTHON_DIR={checkout}"]
        done = subprocess.run(["make", *words], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout

    return run
