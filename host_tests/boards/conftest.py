# SPDX-License-Identifier: MIT
"""What tests of the STM32 boards share: a full MicroPython checkout, which has ST's HAL, if one is
named; and the board that the porting guide adds."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from boardcheck import ROOT
from docs.console import blocks

_CACHE = Path(os.environ.get("CACHE", ROOT / ".cache"))
MICROPYTHON = Path(os.environ.get("MICROPYTHON_DIR", _CACHE / "micropython-1.25.0"))


@pytest.fixture(scope="session")
def checkout() -> Path:
    """A MicroPython source with ST's HAL."""
    if not (MICROPYTHON / "lib" / "stm32lib" / "CMSIS").exists():
        pytest.skip("no full checkout: MICROPYTHON_DIR names none with lib/stm32lib/CMSIS")
    return MICROPYTHON


@pytest.fixture(scope="session")
def make(checkout: Path) -> "Callable[..., str]":
    """Runs `make TARGET BOARD=NAME` with it; gives what it prints."""

    def run(target: str, name: str, folder: Path = ROOT) -> str:
        # What `make setup` makes is there already.
        words = ["-s", "-o", "setup", target, f"BOARD={name}", f"MICROPYTHON_DIR={checkout}"]
        done = subprocess.run(["make", *words], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout

    return run


@pytest.fixture
def ported(tmp_path: Path) -> "tuple[Path, str]":
    """A tree in which all commands of docs/porting.md were given, and what they printed."""
    tree = tmp_path / "ported"
    tree.mkdir()
    for path in ROOT.iterdir():
        if path.name not in ("boards", "build", ".git"):
            (tree / path.name).symlink_to(path)
    shutil.copytree(ROOT / "boards", tree / "boards")
    script = "".join(blocks(ROOT / "docs/porting.md", "sh"))
    # What `make setup` makes is there already.
    script = script.replace("make check-board", "make -s -o setup check-board")
    environment = {**os.environ, "MICROPYTHON_DIR": str(MICROPYTHON)}
    done = subprocess.run(
        ["sh", "-eu", "-c", script], cwd=tree, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return tree, done.stdout
