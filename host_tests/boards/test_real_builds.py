# SPDX-License-Identifier: MIT
"""Firmware of each STM32 board by MicroPython's own port, where MICROPYTHON_DIR names a full
checkout, that is one with ST's HAL; and how near it comes to what `make check-board` foresees."""

import os
import subprocess
from pathlib import Path

import pytest

from boardcheck import ROOT, Board, run, share, sizes

pytestmark = pytest.mark.target
NAMES = ["NUCLEO_F446RE", "NUCLEO_G474RE", "NUCLEO_H743ZI", "PYBV11"]
_NEAR = 0.05


@pytest.fixture(scope="module")
def checkout() -> Path:
    """A MicroPython source with ST's HAL."""
    named = Path(os.environ.get("MICROPYTHON_DIR", ""))
    if not (named / "lib" / "stm32lib" / "CMSIS").exists():
        pytest.skip("no full checkout: MICROPYTHON_DIR names none with lib/stm32lib/CMSIS")
    return named


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", NAMES)
def test_firmware_is_built_and_as_large_as_foreseen(
    name: str, checkout: Path, tmp_path: Path
) -> None:
    make("firmware", name, checkout)
    build = ROOT / "build" / name
    assert all((build / f"firmware.{kind}").stat().st_size for kind in ("dfu", "hex"))
    board = Board(ROOT / "boards" / name, checkout, tmp_path)
    foreseen = sizes(board)
    elf = build / "firmware.elf"
    text, data, _ = map(int, run("arm-none-eabi-size", elf).splitlines()[1].split()[:3])
    needed = sum(foreseen[part] for part in ("micropython_flash", "native", "frozen"))
    assert text + data == pytest.approx(needed, rel=_NEAR)
    assert text + data <= board.facts["flash_kb"] * 1024
    taken = share(board, elf)
    heap = board.regions["RAM"] - taken["ram"]
    assert heap == pytest.approx(foreseen["heap"], rel=_NEAR)
    said = f"MicroPython's share of its build: flash {taken['flash']:,}, ram {taken['ram']:,}\n"
    assert make("check-board", name, checkout).endswith(said)


def make(target: str, name: str, checkout: Path) -> str:
    """What it prints."""
    # What `make setup` makes is there already.
    words = ["-s", "-o", "setup", target, f"BOARD={name}", f"MICROPYTHON_DIR={checkout}"]
    done = subprocess.run(["make", *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout
