# SPDX-License-Identifier: MIT
"""docs/provisioning.md is run against a node: its ports stand for a pty and a virtual bus."""

import contextlib
import re
import shlex
import shutil
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from bench.links import LinksBench
from bench.service import admin
from docs.console import UntilCtrlC, commands, compare, hsxctl, parts, put, run
from hsxctl import settings
from hsxctl.cli import main
from hsxctl.errors import DONE, INTERRUPTED

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs/provisioning.md"
NO_NUMBER = 127

# What differs from run to run: times and rates, steps, the clock of an event.
CHANGING = [
    (r"\d+\.\d s, \d+ B/s", "time"),
    (r"^( +\d+ +\w+ +)(?:sleeping|ready) +(\d+) +\d+ ", r"\1sleeping \2 "),
    (r"^\[ *[\d.]+\]", "[]"),
]


def plain(text: str) -> str:
    for pattern, instead in CHANGING:
        text = re.sub(pattern, instead, text, flags=re.MULTILINE)
    return "\n".join(re.sub(r" +", " ", line) for line in text.splitlines())


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(settings, "FILES", (Path("hsxctl.toml"),))
    for source in (ROOT / "tools/demo/apps").glob("*.mvasm"):
        shutil.copy(source, tmp_path)
    (tmp_path / "apps").mkdir()
    pem = admin.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (tmp_path / "site.pem").write_bytes(pem)
    with LinksBench(NO_NUMBER) as bench:
        yield bench


ENDLESS = ("--follow", "watch")  # until Ctrl-C


def is_told_until_ctrl_c(command: str) -> bool:
    """Whether a command shows something, and goes on until Ctrl-C if it is one of those."""
    words = shlex.split(command)[1:]
    endless = any(word in ENDLESS for word in words)
    said = UntilCtrlC(1 if endless else -1)
    with contextlib.redirect_stdout(said):
        status = main(words)
    return bool(said.getvalue()) and status == (INTERRUPTED if endless else DONE)


def test_guide_does_what_it_shows(bench):
    ports = {"/dev/ttyUSB0": bench.uart[1], "socketcan:can0": bench.can[1]}

    def real(command: str) -> str:
        for port, there in ports.items():
            command = command.replace(port, there)
        return command

    def told(command: str) -> str:
        found = hsxctl(real(command))
        for port, there in ports.items():
            found = found.replace(there, port)
        time.sleep(0.1)  # what the command began goes on in the node
        return found

    text = GUIDE.read_text()
    for kind, block in parts(GUIDE, "console", "sh", "toml"):
        if kind == "toml":
            Path("hsxctl.toml").write_text(real(block))
        elif kind == "sh":
            for command in commands(block):
                assert is_told_until_ctrl_c(real(command)), command
        else:
            text = put(text, "console", block, run(block, told))
    compare(GUIDE, text, plain)
