# SPDX-License-Identifier: MIT
"""docs/repl.md is run on a node with a card, a flash file system and an unformatted FRAM."""

import re
from pathlib import Path

import pytest

from bench.images import SPIN, an_image
from docs.console import blocks, compare, put, run, session, tool
from hsxctl import fat_image
from hsxctl.cli import main
from repl import Repl

pytestmark = pytest.mark.target

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs/repl.md"
MANIFEST = b'schema = 1\n[[image]]\nfile = "pump.hxe"\n'


@pytest.fixture
def machine(power_up, tmp_path):
    pump = an_image(SPIN, name="pump", multiple=False)
    card, flash = tmp_path / "card.img", tmp_path / "flash.img"
    fat_image.write(card, fat_image.SMALLEST, [("pump.hxe", pump), ("hsx.toml", MANIFEST)])
    fat_image.write(flash, fat_image.SMALLEST, [])
    hello = ROOT / "tools/demo/apps/hello.mvasm"
    assert main(["asm", str(hello), "-o", str(tmp_path / "hello.hxe")]) == 0
    return power_up(sd=card, flash=flash, fram=tmp_path / "fram.bin")


def echoed(code: str, repl) -> str:
    """What the prompt shows of a line."""
    if code.startswith("import "):
        return repl.run(code)
    said = repl.run(f"_ = {code}\nif _ is not None:\n    print(repr(_))")
    return said + "\n" if said else ""


def plain(text: str) -> str:
    """Without what differs from run to run: steps of tasks, and whether one sleeps already."""
    row = r"^( *\d+ \w+ +)(?:ready|sleeping) +(\d+) +\d+ "
    return re.sub(row, r"\1sleeping \2 ", text, flags=re.MULTILINE)


def test_guide_does_what_it_shows(machine, tmp_path):
    machine.wait_console("state=over")
    text = GUIDE.read_text()
    for block in blocks(GUIDE):
        found = run(block, lambda command: tool(command.replace("PORT", machine.repl), tmp_path))
        text = put(text, "console", block, found)
    repl = Repl(machine)
    for block in blocks(GUIDE, "pycon"):
        found = "".join(f">>> {code}\n{echoed(code, repl)}" for code, _ in session(block))
        text = put(text, "pycon", block, found)
    repl.close()
    compare(GUIDE, text, plain)
