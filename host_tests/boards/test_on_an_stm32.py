# SPDX-License-Identifier: MIT
"""NUCLEO_F446RE's firmware runs a node: MicroPython's STM32 port, its drivers and its REPL, on an
emulated part. It has neither FRAM nor CAN, as QEMU has none there."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import serial

from boardcheck import ROOT
from boards.emulated import Stm32
from waiting import PATIENCE, Deadline

pytestmark = pytest.mark.target
NAME = "NUCLEO_F446RE"
CONSOLE, REPL, LINK = 6, 2, 4  # its UARTs

# A file in RAM for the REPL: the board has no file system.
FILE = """
import io, vfs
class Ram:
    def mount(self, readonly, mkfs): pass
    def umount(self): pass
    def stat(self, path): return (0x8000, 0, 0, 0, 0, 0, len(IMAGE), 0, 0, 0)
    def open(self, path, mode): return io.BytesIO(IMAGE)
vfs.mount(Ram(), "/ram")
"""


@pytest.fixture(scope="module")
def elf(make: Callable[..., str]) -> Path:
    make("firmware", NAME)
    return ROOT / "build" / NAME / "firmware.elf"


@pytest.fixture
def switch_on(elf: Path, tmp_path: Path) -> "Iterator[Callable[..., Stm32]]":
    """Starts machines; ended with the test."""
    machines = []

    def start(**options: bool) -> Stm32:
        machines.append(Stm32(elf, tmp_path, **options))
        return machines[-1]

    yield start
    for machine in machines:
        machine.close()


def run(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *words], capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def at_the_repl(machine: Stm32, code: str, *resume: str) -> str:
    return run("mpremote", "connect", machine.uarts[REPL], *resume, "exec", code)


def until(port: serial.Serial, text: str) -> str:
    """What the console says up to a text."""
    said, deadline = b"", Deadline()
    while text.encode() not in said and not deadline.over():
        said += port.read(port.in_waiting or 1)
    assert text.encode() in said, said
    return said.decode()


def test_a_node_boots_runs_an_app_and_answers_on_all_its_lines(
    switch_on: "Callable[..., Stm32]", tmp_path: Path
) -> None:
    machine = switch_on()
    with serial.Serial(machine.uarts[CONSOLE], timeout=0.5) as console:
        until(console, "boot source=none state=over")
        image = tmp_path / "hello.hxe"
        run("hsxctl", "asm", str(ROOT / "tools/demo/apps/hello.mvasm"), "-o", str(image))
        at_the_repl(machine, f"IMAGE = {image.read_bytes()!r}\n{FILE}", "resume")
        at_the_repl(machine, "import hsx; hsx.load('/ram/hello.hxe')", "resume")
        until(console, "hello> 2 x hello")
        # The app writes on while mpremote and hsxctl speak on their own lines.
        for _ in range(5):
            assert " hello " in at_the_repl(machine, "import hsx; hsx.ps()", "resume")
            assert " hello " in run("hsxctl", "ps", "--uart", machine.uarts[LINK])
        assert NAME in run("hsxctl", "nodes", "--uart", machine.uarts[LINK])
        # Without `resume` mpremote resets the board softly: the app ends, the node starts again.
        assert " hello " not in at_the_repl(machine, "import hsx; hsx.ps()")
        until(console, "boot source=none state=over")


def test_the_button_asks_for_the_safe_mode(switch_on: "Callable[..., Stm32]") -> None:
    machine = switch_on(pressed=True)
    with serial.Serial(machine.uarts[CONSOLE], timeout=0.5) as console:
        until(console, "state=over")
    assert "safe" in at_the_repl(machine, "import hsx; hsx.boot_report()", "resume")
    assert NAME in run("hsxctl", "nodes", "--uart", machine.uarts[LINK])
