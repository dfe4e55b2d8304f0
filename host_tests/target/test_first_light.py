# SPDX-License-Identifier: MIT
"""The first light of docs/boards.md on the emulated board, by the real mpremote at its REPL."""

import os
import pty
import re
import select
import subprocess
import sys
from pathlib import Path

import pytest

from docs.console import blocks, commands, session
from waiting import PATIENCE, Deadline

pytestmark = pytest.mark.target
GUIDE = Path(__file__).parents[2] / "docs/boards.md"
CTRL_D, CTRL_BRACKET = b"\x04", b"\x1d"
PROMPT = ">>> "


class Terminal:
    """A person's: what is typed, and what a command shows."""

    def __init__(self, command: list[str]) -> None:
        self._ours, theirs = pty.openpty()
        self._process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)

    def type(self, keys: bytes, until: str = PROMPT, echo: str = "") -> str:
        """What comes after these keys, up to the text it waits for behind the echo: a prompt may
        still be on its way from before."""
        os.write(self._ours, keys)
        text, deadline = "", Deadline()
        while not (echo in text and text.endswith(until)) and not deadline.over():
            if select.select([self._ours], [], [], 0.1)[0]:
                text += os.read(self._ours, 4096).decode().replace("\r", "")
        assert text.endswith(until), text
        return text.partition(echo)[2].removesuffix(until) if echo else text.removesuffix(until)

    def enter(self) -> None:
        """Enter, until there is a prompt: mpremote takes keys a moment after it says so."""
        text, deadline = "", Deadline()
        while not text.endswith(PROMPT) and not deadline.over():
            os.write(self._ours, b"\r")
            while select.select([self._ours], [], [], 0.5)[0]:
                text += os.read(self._ours, 4096).decode()
        assert text.endswith(PROMPT), text

    def ask(self, line: str) -> str:
        """What a line at the prompt shows, without itself."""
        return self.type(line.encode() + b"\r", echo=f"{line}\n")

    def leave(self) -> int:
        """The exit code after Ctrl-]."""
        os.write(self._ours, CTRL_BRACKET)
        return self._process.wait(10)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._ours)


@pytest.fixture
def at_the_repl():
    """Opens terminals by the commands of the guide, with a port for PORT."""
    terminals = []

    def connect(port: str) -> Terminal:
        listing, connecting = commands(blocks(GUIDE, "sh")[1])
        subprocess.run(mpremote(listing), check=True, capture_output=True, timeout=PATIENCE)
        terminals.append(Terminal(mpremote(connecting.replace("PORT", port))))
        terminals[-1].type(b"", until="to exit this shell\n")
        terminals[-1].enter()
        return terminals[-1]

    yield connect
    for terminal in terminals:
        terminal.close()


def mpremote(command: str) -> list[str]:
    assert command.startswith("mpremote ")
    return [sys.executable, "-m", *command.split()]


def plain(text: str) -> str:
    """Times differ from run to run."""
    return re.sub(r"^\[ *[\d.]+\]", "[]", text, flags=re.MULTILINE)


def test_a_new_fram_is_found_formatted_and_found_again(power_up, at_the_repl, tmp_path):
    node = power_up(fram=tmp_path / "fram.bin")
    node.wait_console("state=over")
    terminal = at_the_repl(node.repl)
    new, formatted, again = blocks(GUIDE, "pycon")
    for line, shown in session(new) + session(formatted):
        assert plain(terminal.ask(line)) == plain(shown), line
    terminal.type(CTRL_D, echo="soft reboot")
    for line, shown in session(again):
        assert terminal.ask(line) == shown, line
    assert node.console_log.count(b"there is no store") == 1
    assert terminal.leave() == 0


def test_without_its_fram_the_node_does_not_say_that_a_store_is_missing(node, at_the_repl):
    node.wait_console("state=over")
    terminal = at_the_repl(node.repl)
    ((first, nothing), (second, shown)) = session(blocks(GUIDE, "pycon")[0])
    assert terminal.ask(first) == nothing
    warning, *others = shown.splitlines()
    said = plain(terminal.ask(second))
    assert plain(warning) not in said and plain(others[1]) in said
    assert "the board has no store" in terminal.ask(session(blocks(GUIDE, "pycon")[1])[0][0])
