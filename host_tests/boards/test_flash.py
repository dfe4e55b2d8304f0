# SPDX-License-Identifier: MIT
"""`make flash` with programs that only write down how they were called."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tools" / "flash" / "flash.sh"
_DFU = 'case "$1" in -l) echo "Found DFU: [0483:df11] alt=0";; esac'
_NOBODY = "exit 1"
_PROBE = 'echo "Found 1 stlink programmers"'


class Desk:
    """A folder of programs, and a firmware that was built."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.build = folder / "build"
        self.calls = folder / "calls"
        self.bin.mkdir()
        self.build.mkdir()
        self.calls.write_text("")
        for name in ("basename", "sed", "grep"):
            (self.bin / name).symlink_to(Path("/usr/bin") / name)
        (self.build / "firmware.hex").write_text(":00000001FF\n")

    def program(self, name: str, script: str = "") -> None:
        path = self.bin / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >>"{self.calls}"\n{script}\n')
        path.chmod(0o755)

    def flash(self, *via: str, board: str = "PYBV11") -> "subprocess.CompletedProcess[str]":
        command = ["/bin/sh", str(SCRIPT), str(ROOT / "boards" / board), str(self.build), *via]
        return subprocess.run(
            command, capture_output=True, text=True, env={"PATH": str(self.bin)}, cwd=ROOT
        )

    def last_call(self) -> str:
        return self.calls.read_text().splitlines()[-1].replace(str(self.build), "BUILD")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    assert os.access("/usr/bin/grep", os.X_OK)
    return Desk(tmp_path)


def test_part_in_dfu_mode_is_written_by_dfu(desk: Desk) -> None:
    desk.program("dfu-util", _DFU)
    assert desk.flash().returncode == 0
    assert desk.last_call() == "dfu-util -a 0 -d 0483:df11 -D BUILD/firmware.dfu -s :leave"


def test_st_link_is_used_when_no_part_is_in_dfu_mode(desk: Desk) -> None:
    desk.program("dfu-util")
    desk.program("st-info", _PROBE)
    desk.program("st-flash")
    assert desk.flash().returncode == 0
    assert desk.last_call() == "st-flash --reset --format ihex write BUILD/firmware.hex"


@pytest.mark.parametrize(
    ("board", "target"),
    [
        ("PYBV11", "stm32f4x"),
        ("NUCLEO_F446RE", "stm32f4x"),
        ("NUCLEO_G474RE", "stm32g4x"),
        ("NUCLEO_H743ZI", "stm32h7x"),
    ],
)
def test_openocd_is_used_when_it_alone_finds_the_board(
    desk: Desk, board: str, target: str
) -> None:
    desk.program("openocd")
    assert desk.flash(board=board).returncode == 0
    assert desk.last_call() == (
        f"openocd -f interface/stlink.cfg -f target/{target}.cfg"
        " -c program BUILD/firmware.hex verify reset exit"
    )


def test_way_that_is_named_is_the_only_one_tried(desk: Desk) -> None:
    desk.program("dfu-util", _DFU)
    desk.program("st-info", _PROBE)
    desk.program("st-flash")
    assert desk.flash("stlink").returncode == 0
    assert "dfu-util" not in desk.calls.read_text()


def test_no_board_is_told_with_what_is_missing_and_what_to_do(desk: Desk) -> None:
    done = desk.flash()
    assert done.returncode == 3
    assert "no board was found" in done.stderr
    assert "dfu-util is not installed" in done.stderr
    assert "connect BOOT0 to 3V3" in done.stderr


@pytest.mark.parametrize("via", ["dfu", "stlink", "openocd"])
def test_way_without_its_program_is_told(desk: Desk, via: str) -> None:
    done = desk.flash(via)
    assert done.returncode == 1
    assert "is not installed" in done.stderr


@pytest.mark.parametrize(
    ("via", "programs"),
    [("dfu", ["dfu-util"]), ("stlink", ["st-info", "st-flash"]), ("openocd", ["openocd"])],
)
def test_way_that_finds_nothing_is_told_and_writes_nothing(
    desk: Desk, via: str, programs: "list[str]"
) -> None:
    for name in programs:
        desk.program(name, _NOBODY)
    assert desk.flash(via).returncode == 3
    assert "write" not in desk.calls.read_text() and "-D" not in desk.calls.read_text()


@pytest.mark.parametrize(
    ("programs", "words"),
    [
        ({"dfu-util": _DFU + "\n[ $1 = -l ]"}, "dfu-util failed"),
        ({"st-info": _PROBE, "st-flash": _NOBODY}, "st-flash failed"),
        ({"openocd": 'case "$*" in *program*) exit 1;; esac'}, "OpenOCD failed"),
    ],
)
def test_write_that_fails_is_told(desk: Desk, programs: "dict[str, str]", words: str) -> None:
    for name, script in programs.items():
        desk.program(name, script)
    done = desk.flash()
    assert done.returncode == 1
    assert words in done.stderr


def test_board_that_was_not_built_is_told(desk: Desk) -> None:
    (desk.build / "firmware.hex").unlink()
    done = desk.flash()
    assert done.returncode == 1
    assert "make firmware BOARD=PYBV11" in done.stderr


def test_unknown_board_and_way_are_wrong_usage(desk: Desk) -> None:
    assert desk.flash(board="NONE").returncode == 2
    assert desk.flash("jtag").returncode == 2
