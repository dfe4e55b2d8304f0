# SPDX-License-Identifier: MIT
"""docs/provisioning.md is run against a node: its ports stand for a pty and a virtual bus."""

import re
import shlex
import shutil
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from desk import Desk
from docs.console import blocks, dialogue
from hsxctl import settings
from hsxctl.cli import main
from service.site import admin

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
def desk(tmp_path, monkeypatch):
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
    with Desk(NO_NUMBER) as desk:
        yield desk


def test_guide_does_what_it_shows(desk, capsys):
    ports = {"/dev/ttyUSB0": desk.uart[1], "socketcan:can0": desk.can[1]}
    text = GUIDE.read_text()
    said_once = re.search(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    for block in blocks(GUIDE):
        if said_once and text.index(block) > said_once.start():
            Path("hsxctl.toml").write_text(said_once[1].replace("socketcan:can0", desk.can[1]))
        for command, shown in dialogue(block):
            for port, real in ports.items():
                command = command.replace(port, real)
            main(shlex.split(command)[1:])
            said = capsys.readouterr()
            found = said.out + said.err
            for port, real in ports.items():
                found = found.replace(real, port)
            assert plain(found) == plain(shown), f"{command}\n{found}"
            time.sleep(0.1)  # what the command began goes on in the node
