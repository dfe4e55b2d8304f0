# SPDX-License-Identifier: MIT
"""docs/boards.md followed in order, as far as it goes without a board: with a stand-in for the
port of MicroPython, and programs that write down how they were called instead of writing a part.

host_tests/target/test_first_light.py has the rest of the page."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from docs.console import blocks, dialogue
from waiting import PATIENCE

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs/boards.md"
NEAR = 0.05  # figures move with every change of the code
WAYS = ("dfu", "stlink", "openocd")

# What of a port's Makefile counts here.
PORT = """
all: ; @mkdir -p $(BUILD) && touch $(BUILD)/firmware.dfu $(BUILD)/firmware.hex
submodules: ; @mkdir -p ../../lib/stm32lib/CMSIS && echo $(BOARD) >../../lib/stm32lib/for
"""
FOUND = {
    "dfu-util": 'case "$1" in -l) echo "Found DFU: [0483:df11] alt=0";; esac',
    "st-info": 'echo "Found 1 stlink programmers"',
    "st-flash": "",
    "openocd": "",
}


class Place:
    """A project's root whose `build` is its own, a checkout, and programs that flash."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "project"
        self.root.mkdir()
        for path in ROOT.iterdir():
            if path.name not in ("boards", "build", ".git"):
                (self.root / path.name).symlink_to(path)
        shutil.copytree(ROOT / "boards", self.root / "boards")
        self.micropython = folder / "micropython"
        for path in ("ports/stm32", "py", "mpy-cross/build"):
            (self.micropython / path).mkdir(parents=True)
        for path in ("py/mpconfig.h", "py/mkenv.mk", "mpy-cross/build/mpy-cross"):
            (self.micropython / path).write_text("")
        (self.micropython / "ports/stm32/Makefile").write_text(PORT)
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.calls = folder / "calls"

    def programs(self, *names: str) -> None:
        """Those that flash: `names` alone are installed, and find their board."""
        for name, script in FOUND.items():
            (self.bin / name).unlink(missing_ok=True)
            if name in names:
                call = f'echo "$0 $*" >>{self.calls}'
                (self.bin / name).write_text(f"#!/bin/sh\n{call}\n{script}\n")
                (self.bin / name).chmod(0o755)

    def run(self, command: str, flashing: bool = False) -> str:
        """What a terminal shows of a command; `flashing`: this machine's programs cannot."""
        command = command.replace("/path/to/micropython", str(self.micropython))
        # What `make setup` makes is there already.
        command = re.sub(r"^make ", "make -o setup --no-print-directory ", command)
        # Not a part of the `make` that runs the tests.
        variables = {name: text for name, text in os.environ.items() if name[:4] != "MAKE"}
        if flashing:
            for name in ("make", "sh", "basename", "sed", "grep"):
                tool = self.bin / name
                if not tool.exists():
                    tool.symlink_to(shutil.which(name))
            variables["PATH"] = str(self.bin)
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=self.root,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
        )
        return re.sub(r"\[Makefile:\d+:", "[Makefile:", done.stdout)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_build_as_shown_makes_what_is_named(place: Place) -> None:
    build, _ = blocks(GUIDE, "sh")
    for command in build.splitlines():
        assert "***" not in place.run(command)
    assert (place.micropython / "lib/stm32lib/for").read_text() == "PYBV11\n"
    (said,) = re.findall(r"^The result is (.*)\.", GUIDE.read_text().split(" Without a")[0], re.M)
    named = re.findall(r"`(\S+)`", said)
    assert len(named) == 2
    assert all((place.root / name).exists() for name in named)


def test_check_says_what_is_shown(place: Place) -> None:
    ((command, shown),) = dialogue(blocks(GUIDE)[0])
    found = place.run(command)
    number = re.compile(r"\b\d[\d,]*")
    assert number.sub("N", found) == number.sub("N", shown)
    assert numbers(found) == pytest.approx(numbers(shown), rel=NEAR)
    told = GUIDE.read_text().split(shown)[1].split("##")[0]
    for name in re.findall(r"(\w+) \d", shown):
        assert f"`{name}`" in told, name


def numbers(text: str) -> list[int]:
    return [int(digits.replace(",", "")) for digits in re.findall(r"(?<= )\d[\d,]*\d", text)]


def test_flash_says_what_is_shown(place: Place) -> None:
    for command in blocks(GUIDE, "sh")[0].splitlines():
        place.run(command)
    ((written, told),), ((refused, why),) = (dialogue(block) for block in blocks(GUIDE)[1:])
    place.programs("dfu-util")
    assert place.run(written, flashing=True) == told
    assert place.calls.read_text().endswith("build/PYBV11/firmware.dfu -s :leave\n")
    (place.bin / "dfu-util").write_text("#!/bin/sh\n")  # which finds nobody
    assert place.run(refused, flashing=True) == why


def test_each_way_that_is_named_is_one(place: Place) -> None:
    for command in blocks(GUIDE, "sh")[0].splitlines():
        place.run(command)
    place.programs(*FOUND)
    named = re.findall(r"`VIA=(\w+)`", GUIDE.read_text())
    assert named == list(WAYS)
    for way in named:
        said = place.run(f"make flash BOARD=PYBV11 VIA={way}", flashing=True)
        assert said == f"flash: PYBV11 by {way}\n"
