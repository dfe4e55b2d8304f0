# SPDX-License-Identifier: MIT
"""`make prove` on the emulated Cortex-M4: all its lines, what it keeps, how it ends."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from docs.console import blocks, commands
from hsxctl.errors import DONE, INTERRUPTED, REFUSED, USAGE
from powercut import target
from prove import __main__ as command
from prove.desk import Desk
from prove.report import NOT_RUN, PASSED, Failed

pytestmark = pytest.mark.target

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs/prove.md"
_MADE = ["-o", "setup", "-o", "firmware"]  # what make is to take for done


def proved(folder: Path, *words: str) -> tuple[int, dict[str, dict], str]:
    """The exit code, the checks by name, and the report."""
    path = folder / "report.txt"
    status = command.main([*words, "--quick", "--report", str(path)])
    text = path.read_text()
    checks = json.loads(text.splitlines()[-1])["checks"]
    return status, {re.sub(r"^\d+/\d+ ", "", check["check"]): check for check in checks}, text


def test_all_lines_of_a_node_are_proved(power_up, tmp_path, monkeypatch):
    shorted = []
    monkeypatch.setattr(Desk, "ask_person", lambda desk, text: shorted.append(text))
    node = power_up(fram=tmp_path / "fram")
    node.wait_console("state=over")
    lines = ["--repl", node.repl, "--uart", node.uart2, "--can", f"slcan:{node.uart3}"]
    status, checks, text = proved(tmp_path, "qemu_m4", "--erase", *lines)
    results = {name: check["result"] for name, check in checks.items()}
    nobody = {"app from the card", "watchdog"}
    assert results == {name: NOT_RUN if name in nobody else PASSED for name in results}, text
    assert checks["reset within a staging"]["figures"]["kept over a reset"] == [4096]
    assert len(shorted) == 2
    assert checks["watchdog"]["why"] == "no watchdog is configured"
    assert status == DONE and "scan source=SD" in text and "Traceback" not in text


def test_without_erase_the_store_stays_as_it_is(power_up, tmp_path):
    reference = target.Reference({step.name: step for step in target.TARGETS}["rollback"])
    fram = tmp_path / "fram"
    fram.write_bytes(reference.start)
    node = power_up(fram=fram)
    node.wait_console("state=over")
    _, checks, text = proved(tmp_path, "--repl", node.repl, "--uart", node.uart2)
    assert fram.read_bytes() == reference.booted
    assert checks["reset within a read"]["result"] == PASSED, text
    assert checks["load over UART"]["result"] == PASSED, text
    assert "ERASE=yes allows it" in checks["reset within a staging"]["why"]
    assert checks["load over CAN"]["why"] == "CAN= was not given"


def test_another_board_and_a_dead_line_are_said(power_up, tmp_path):
    node = power_up()
    node.wait_console("state=over")
    words = ["PYBV11", "--repl", node.repl, "--can", "no-such-interface:0"]
    status, checks, text = proved(tmp_path, *words)
    assert status == REFUSED
    assert checks["board"]["why"] == "here is qemu_m4, not PYBV11"
    assert checks["FRAM pace"]["why"] == "this board has no FRAM"
    assert "cannot open the CAN interface" in checks["questions over CAN"]["why"]
    assert "What to do: Flash the firmware of this board" in text


def test_ctrl_c_leaves_a_report_of_what_was_done(tmp_path, monkeypatch):
    def two(desk: Desk) -> list[command.Check]:
        def fails() -> dict:
            raise Failed("it is broken", "Mend it.")

        def ends() -> dict:
            raise KeyboardInterrupt

        return [("first", fails), ("second", ends), ("third", fails)]

    monkeypatch.setattr(command, "checks", two)
    status, checks, text = proved(tmp_path, "--uart", "/dev/no-such-port")
    assert status == INTERRUPTED
    assert checks["first"]["remedy"] == "Mend it."
    assert checks["second"]["why"] == "interrupted by Ctrl-C"
    assert "third" not in checks and "Traceback" not in text


def test_no_port_is_wrong_usage(capsys):
    assert command.main(["PYBV11"]) == USAGE
    assert "REPL=" in capsys.readouterr().err


def test_the_guide_has_all_checks_and_its_commands_are_taken():
    titles = re.findall(r"^\| ([^|]+) \| [^|]+ \| [^|]+ \|$", GUIDE.read_text(), re.MULTILINE)
    desk = Desk(None, None, None, None, 0, False, False)
    assert titles[1:] == [title for title, _ in command.checks(desk)]
    for line in commands("".join(blocks(GUIDE, "sh"))):
        done = subprocess.run(
            ["make", "-n", "--no-print-directory", *_MADE, *shlex.split(line)[1:]],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        words = shlex.split(done.stdout.replace("\\\n", " "))
        given = command.arguments().parse_args(words[words.index("-m") + 2 :])
        assert given.board == re.search(r"BOARD=(\w+)", line)[1]
        assert given.erase == ("ERASE" in line) and given.quick == ("QUICK" in line)
