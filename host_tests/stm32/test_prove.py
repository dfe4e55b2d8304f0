# SPDX-License-Identifier: MIT
"""`make prove` without a port: the firmware of a board on its emulated part passes all checks."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from stm32.node import ROOT
from waiting import PATIENCE

BOARD = "NUCLEO_F446RE"
COMMAND = [sys.executable, "-m", "stm32.prove"]
PLACE = {**os.environ, "PYTHONPATH": f"{ROOT / 'host_tests'}:{ROOT / 'tools'}"}
NOBODY = {"bus-off", "watchdog"}


def test_the_emulated_board_passes(firmware: Callable[[str], Path], tmp_path: Path) -> None:
    firmware(BOARD)
    path = tmp_path / "report.txt"
    done = subprocess.run(
        [*COMMAND, BOARD, "--quick", "--report", str(path)],
        env=PLACE,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=4 * PATIENCE,
    )
    checks = json.loads(path.read_text().splitlines()[-1])["checks"]
    results = {re.sub(r"^\S+/\S+ ", "", check["check"]): check["result"] for check in checks}
    expected = {name: "not run" if name in NOBODY else "passed" for name in results}
    assert results == expected, done.stdout
    assert done.returncode == 0, done.stderr
    figures = {check["check"].split(" ", 1)[1]: check["figures"] for check in checks}
    assert 250_000 < figures["FRAM pace"]["clock at least, Hz"] <= 400_000
    assert figures["full CAN bus"]["received"] > 0 == figures["full CAN bus"]["lost"]


def test_a_board_without_ports_and_model_is_said() -> None:
    done = subprocess.run([*COMMAND, "TOASTER"], env=PLACE, capture_output=True, text=True)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "name the ports of your board, or one of PYBV11, " in done.stderr
