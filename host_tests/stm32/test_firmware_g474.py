# SPDX-License-Identifier: MIT
"""The real firmware of NUCLEO_G474RE: it takes apps by both links into the FRAM, survives frames
with a long length code, and keeps its word through resets."""

from pathlib import Path

import pytest

from hsxctl.cli import main
from stm32.emulator import MS
from stm32.node import ROOT, Node

LOAD = 0x700  # frames of a session: they come to the node's second FIFO
LONGEST = 64  # bytes of a frame, as the driver reads its length code
TAMP_BKP1R = 0x4000_2504  # the node itself uses the register before it


@pytest.fixture
def board() -> str:
    return "NUCLEO_G474RE"


def test_pushed_apps_stay_in_the_fram(node: Node, tmp_path: Path) -> None:
    image = str(tmp_path / "hello.hxe")
    assert main(["asm", str(ROOT / "tools/demo/apps/hello.mvasm"), "-o", image]) == 0
    can = ["--can", "slcan:PORT", "--option", "sleep_after_open=0"]
    node.tool("can", "hsxctl", "push", image, "--node", "5", *can)
    assert " hello " in node.tool(node.link, "hsxctl", "ps", "--uart", "PORT")
    node.tool(node.link, "hsxctl", "push", image, "--uart", "PORT")
    node.machine.run(100 * MS)
    node.machine.power(False)
    assert "source=FRAM" in node.boot()


def test_a_frame_with_a_long_length_code_stays_in_its_buffer(node: Node) -> None:
    """A classic frame may say 15; the driver of MicroPython copies 64 bytes then. It also sets the
    length of the slot to that of each frame, so the first one after a reset tells its room."""
    node.machine.command("reset")
    node.booted()
    node.type("import hsx, machine; parts = hsx.runtime().links.runners[1]._slot")
    node.type("slot = next(part for part in parts if isinstance(part, memoryview))")
    room = int(node.type("len(slot)"))
    behind = int(node.type("machine.mem32[id(slot) + 12]")) + room
    before = node.machine.read(behind, LONGEST)
    for _ in range(3):
        node.machine.send("can", f"t{LOAD:03X}F0102030405060708\r".encode())
        node.machine.run(MS)
    assert node.machine.read(behind, LONGEST) == before
    node.on_the_bus()


def test_the_backup_domain_outlives_a_reset_when_somebody_asks_for_the_time(node: Node) -> None:
    node.type("import time, machine; time.time()")
    node.type(f"machine.mem32[{TAMP_BKP1R}] = 1234")
    node.machine.command("reset")
    node.booted()
    assert node.type(f"import machine; machine.mem32[{TAMP_BKP1R}]") == "1234"
