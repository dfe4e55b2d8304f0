# SPDX-License-Identifier: MIT
"""docs/bench_bus.md is run, with another port: ten nodes, a push to all, a program on the bus."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.images import SPIN, an_image
from bench_bus.command import PROGRAM
from docs.console import blocks, compare, dialogue, put, tool
from waiting import PATIENCE

pytestmark = pytest.mark.target

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs/bench_bus.md"
PORT = "29500"


class Bus:
    """`hsxctl sim` as the guide starts it."""

    def __init__(self, command: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", *command.split(), "--port", "0"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.said = ""
        for line in self._process.stdout:
            self.said += line
            if "Ctrl-C" in line:
                break
        self.port = re.search(r"hsx-bench:(\d+)", self.said)[1]

    def close(self) -> None:
        self._process.communicate("quit\n", timeout=PATIENCE)
        assert self._process.returncode == 0


def plain(text: str) -> str:
    """Without times and rates."""
    return re.sub(r"\d+\.\d s, \d+ B/s", "time", text)


def test_guide_does_what_it_shows(firmware, tmp_path):
    if not PROGRAM.is_file():
        pytest.skip(f"no {PROGRAM}: run 'make sim'")
    (tmp_path / "pump.hxe").write_bytes(an_image(SPIN, name="pump"))
    ((start, _),), ((push, _),) = map(dialogue, blocks(GUIDE))
    (program,) = blocks(GUIDE, "python")
    bus = Bus(start)
    try:
        pushed = tool(push.replace(PORT, bus.port), tmp_path)
        (tmp_path / "program.py").write_text(program.replace(PORT, bus.port))
        shown = tool("program", tmp_path)
    finally:
        bus.close()
    text = GUIDE.read_text()
    kinds = ("console", "console", "text")
    found = (f"$ {start}\n{bus.said}", f"$ {push}\n{pushed}", shown)
    for kind, old, new in zip(kinds, [*blocks(GUIDE), *blocks(GUIDE, "text")], found, strict=True):
        text = put(text, kind, old, new.replace(bus.port, PORT))
    compare(GUIDE, text, plain)
