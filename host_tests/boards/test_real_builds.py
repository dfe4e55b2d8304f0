# SPDX-License-Identifier: MIT
"""Firmware of each STM32 board by MicroPython's own port, where MICROPYTHON_DIR names a full
checkout, that is one with ST's HAL; and how near it comes to what `make check-board` foresees."""

from collections.abc import Callable
from pathlib import Path

import pytest

from boardcheck import ROOT, Board, run, share, sizes
from release.room import room

pytestmark = pytest.mark.target
NAMES = ["NUCLEO_F446RE", "NUCLEO_G474RE", "NUCLEO_H743ZI", "PYBV11"]
_NEAR = 0.05


@pytest.mark.parametrize("name", NAMES)
def test_firmware_is_built_and_as_large_as_foreseen(
    name: str, checkout: Path, make: Callable[..., str], tmp_path: Path
) -> None:
    make("firmware", name)
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
    left = room(build)
    assert left.image == text + data
    assert left.heap == pytest.approx(heap, abs=64)  # what has variables of ours in it
    assert left.image + left.flash_left <= board.facts["flash_kb"] * 1024
    said = f"MicroPython's share of its build: flash {taken['flash']:,}, ram {taken['ram']:,}\n"
    assert make("check-board", name).endswith(said)


def test_the_board_of_the_porting_guide_is_built_too(
    make: Callable[..., str], ported: "tuple[Path, str]"
) -> None:
    tree, _ = ported
    make("firmware", "ADAFRUIT_F405_EXPRESS", tree)
    assert (tree / "build/ADAFRUIT_F405_EXPRESS/firmware.dfu").stat().st_size > 500_000
