# SPDX-License-Identifier: MIT
"""Ten nodes on the bench bus, one of them a Cortex-M4, updated by one push while another loses its
power half-way; and what a terminal shows of it, which is in docs/recordings.md."""

import json
import random
import re
import subprocess
import sys

import pytest

from bench.images import IDLE, an_image
from bench.links import Terminal
from bench_bus.command import PROGRAM, SimCommand
from screen import frames, plain, record, recorded

pytestmark = pytest.mark.target

TITLE = "Ten nodes"
VICTIM = 4
HALF = 1100  # frames of the master: the stream has 2030 and some 33 BLOCKs
_PORT = "hsx-bench:29500"
_ROW = re.compile(
    r"^node +(\d+) on \S+ +[━╸╺]+ +([\d.]+)/([\d.]+) kB +[\d.]+ kB/s +[-\d]:[-\d:]+$", re.MULTILINE
)


def parts(frame):
    """How much of the stream each node has, by the rows that are drawn to their end."""
    return {int(node): float(done) / float(total) for node, done, total in _ROW.findall(frame)}


def is_half_way(frame):
    return len(parts(frame)) == 10 and all(0.2 < part < 0.7 for part in parts(frame).values())


def shows_who_resumes(frame):
    """Nine nodes have it all, and the one that was off goes on behind what it kept."""
    found = parts(frame)
    return len(found) == 10 and 0.2 < found.pop(VICTIM) < 0.8 and min(found.values()) == 1


@pytest.fixture
def bus(firmware):
    if not PROGRAM.is_file():
        pytest.skip(f"no {PROGRAM}: run 'make sim'")
    with SimCommand("--nodes", 10, "--m4", 1, "--firmware", firmware) as bus:
        yield bus


def sent_by_master(bus):
    stations = {station["name"]: station for station in bus.ask("stats")["stations"]}
    return max(
        (facts["transmitted"] for name, facts in stations.items() if "program" in name), default=0
    )


@pytest.mark.requirement("P-66")
def test_ten_nodes_take_a_set_and_the_one_that_lost_its_power_goes_on(bus, tmp_path):
    assert [node["kind"] for node in bus.hello["nodes"]] == ["unix"] * 9 + ["m4"]
    image = tmp_path / "pump.hxe"
    image.write_bytes(an_image(*IDLE, rodata=random.Random(1).randbytes(16000), name="pump"))
    # So slow that a loaded machine draws the bars while they grow.
    terminal = Terminal("push", image, *bus.can, "--node", "all", "--share", "0.2")
    while sent_by_master(bus) < HALF:
        terminal.look(0.05)
    assert bus.ask("kill", VICTIM)["state"] == "off"
    assert bus.ask("start", VICTIM)["state"] == "on"
    assert terminal.end() == 0
    assert "10 of 10 nodes have it" in terminal.shown.decode()
    shown = [frame.replace(bus.place, _PORT) for frame in frames(terminal.shown)]
    half = next(frame for frame in shown if is_half_way(frame))
    resumed = next(frame for frame in shown if shows_who_resumes(frame))
    record(TITLE, [half, resumed, shown[-1]])
    wanted = [plain(frame) for frame in recorded(TITLE)]
    assert wanted[:2] == [plain(half), plain(resumed)]
    assert wanted[2] == plain(shown[-1])
    status = subprocess.run(
        [sys.executable, "-m", "hsxctl", "status", *bus.can, "--node", "all", "--json"],
        capture_output=True,
        text=True,
    )
    rows = [json.loads(line) for line in status.stdout.splitlines()]
    assert [row["node"] for row in rows] == list(range(1, 11))
    assert len({row["digest"] for row in rows}) == 1
    bus.say("quit")
    assert bus.end()[0] == 0
