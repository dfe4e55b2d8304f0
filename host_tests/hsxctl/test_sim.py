# SPDX-License-Identifier: MIT
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bench.images import SLEEP, SPIN, UART_WRITE, an_image, ldi, ldi32
from hsxctl.cli import main
from waiting import PATIENCE

BUILD = Path(__file__).parents[2] / "build"
FIRMWARE = BUILD / "qemu_m4/firmware.elf"
PROGRAM = BUILD / "sim/micropython"


@pytest.fixture
def card(tmp_path):
    """A card with one app that says "tick" every 50 ms."""
    folder = tmp_path / "apps"
    folder.mkdir()
    code = [*ldi32(1, 0x4000), ldi(2, 5), UART_WRITE, ldi(0, 50), SLEEP, SPIN]
    (folder / "tick.hxe").write_bytes(an_image(*code, rodata=b"tick\n", name="tick"))
    assert main(["sdcard", str(folder), "-o", str(tmp_path / "card.img")]) == 0
    return tmp_path / "card.img"


def test_a_firmware_that_is_not_there_is_refused_with_what_to_do(tmp_path, capsys):
    assert main(["sim", "--firmware", str(tmp_path / "no.elf")]) == 1
    assert "no firmware. Build it with 'make firmware'." in capsys.readouterr().err


@pytest.mark.target
def test_a_node_shows_its_console_says_how_to_connect_and_ends_with_ctrl_c(card, tmp_path):
    if not FIRMWARE.is_file():
        pytest.skip("no firmware: 'make firmware' builds it")
    fram = tmp_path / "fram.bin"
    process = subprocess.Popen(
        [sys.executable, "-m", "hsxctl", "sim", "--firmware", FIRMWARE, "--sd", card]
        + ["--fram", fram, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        ports = json.loads(process.stdout.readline())
        while "tick> tick" not in (line := process.stderr.readline()):
            assert line, "the node ended"
        asked = subprocess.run(
            [sys.executable, "-m", "mpremote", "connect", ports["repl"], "resume"]
            + ["exec", "import hsx; hsx.ps()"],
            capture_output=True,
            text=True,
        )
        assert " 1 tick " in asked.stdout
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert "the node is ended" in said
    assert not Path(ports["repl"]).exists()
    assert fram.stat().st_size == 128 * 1024


def test_a_unix_node_needs_its_program(tmp_path, capsys):
    sim = ["sim", "--target", "unix"]
    assert main([*sim, "--firmware", str(tmp_path / "none")]) == 1
    assert "no program. Build it with 'make sim'." in capsys.readouterr().err


@pytest.mark.sim
def test_a_unix_node_shows_its_console_and_stops_its_apps_in_order_with_ctrl_c(card):
    if not PROGRAM.is_file():
        pytest.skip(f"no {PROGRAM}: run 'make sim'")
    process = subprocess.Popen(
        [sys.executable, "-m", "hsxctl", "sim", "--target", "unix", "--firmware", PROGRAM]
        + ["--sd", card],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for _ in range(3):
            while "tick> tick" not in (line := process.stdout.readline()):
                assert line, "the node ended"
        process.send_signal(signal.SIGINT)
        shown, said = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert "instance=tick state=killed" in shown.splitlines()[-1]
    assert "the node is ended" in said
