# SPDX-License-Identifier: MIT
"""`make emulate`: what it prints serves the tools of a person, and mistakes are said plainly."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stm32.emulate import ROOT

COMMAND = [sys.executable, "-m", "stm32.emulate"]
PLACE = {**os.environ, "PYTHONPATH": str(ROOT / "host_tests")}


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["TOASTER"], "no such board: TOASTER; BOARD= is one of PYBV11, "),
        (["PYBV11", "--card", "absent.img"], "no such file: absent.img"),
        ([], "the following arguments are required: board"),
    ],
)
def test_a_mistake_is_said(arguments: list[str], error: str) -> None:
    done = subprocess.run([*COMMAND, *arguments], env=PLACE, capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    assert error in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("board", ["NUCLEO_F446RE", "NUCLEO_H743ZI"])
def test_tools_find_the_board_until_ctrl_c(
    board: str, firmware: Callable[[str], Path], tmp_path: Path
) -> None:
    firmware(board)
    command = [*COMMAND, board, "--fram", str(tmp_path / "fram")]
    with subprocess.Popen(
        command, env=PLACE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as emulation:
        assert emulation.stdout
        said = "".join(iter(emulation.stdout.readline, "\n"))  # the heading
        said += "".join(iter(emulation.stdout.readline, "\n"))
        try:
            (link,) = re.findall(r"hsxctl nodes --uart (\S+)", said)
            (repl,) = re.findall(r"mpremote connect (\S+)", said)
            nodes = subprocess.run(
                [sys.executable, "-m", "hsxctl", "nodes", "--uart", link],
                env={**PLACE, "PYTHONPATH": f"{ROOT / 'tools'}:{ROOT / 'firmware'}"},
                capture_output=True,
                text=True,
                timeout=60,
            )
            assert board in nodes.stdout, nodes.stderr
            repl_says = subprocess.run(
                [sys.executable, "-m", "mpremote", "connect", repl, "resume", "eval", "6 * 7"],
                capture_output=True,
                text=True,
                timeout=60,
            )
            assert repl_says.stdout.strip() == "42", repl_says.stderr
        finally:
            emulation.send_signal(signal.SIGINT)
        assert emulation.wait(20) == 0
