# SPDX-License-Identifier: MIT
"""The real firmware of the boards with FDCAN: it takes apps by both links into the FRAM, has its
bit rate, survives frames with a long length code, and keeps its word through resets."""

import itertools
from pathlib import Path

import pytest

from hsxctl.cli import main
from hsxctl.simulate import can_bus
from stm32.emulator import MS
from stm32.node import ROOT, Node

LOAD = 0x700  # frames of a session: they come to the node's second FIFO
LONGEST = 64  # bytes of a frame, as the driver reads its length code
# By board: a backup register; the node itself uses the one before it.
KEPT = {"NUCLEO_G474RE": 0x4000_2504, "NUCLEO_H743ZI": 0x5800_4054}


@pytest.fixture(params=KEPT)
def board(request: pytest.FixtureRequest) -> str:
    return str(request.param)


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


def test_the_node_sends_at_500_kbit_per_second(node: Node) -> None:
    """Frames that wait in the controller follow each other without a gap. They are sent under the
    node's lock, so that no poll is between. Each has an identifier of its own: machine.CAN takes
    no second one of the same."""
    data = b"12345678"
    idents = (0x701, 0x702, 0x703)
    node.type("import hsx, machine; can = hsx.runtime().links.runners[1]._can")
    # machine.CAN takes the identifier first, pyb.CAN the data.
    arguments = f"(ident, {data}) if hasattr(machine, 'CAN') else ({data}, ident)"
    node.type(f"frames = [{arguments} for ident in {idents}]")
    assert node.repl is not None
    node.type("from hsx.boot import lock")
    node.machine.send(node.repl, b"lock.run(lambda: [can.send(*frame) for frame in frames])\r\n")
    ends = []
    for ident in idents:
        line = f"t{ident:03X}8{data.hex().upper()}\r".encode()
        assert node.machine.until("can", line) == "text"
        ends.append(node.machine.time_ps / 1e12)
        node.machine.take("can")
    took = [later - end for end, later in itertools.pairwise(ends)]
    bits = [can_bus.bits(ident, data) for ident in idents[1:]]
    assert took == pytest.approx([count / 500_000 for count in bits], rel=0.02)


def test_the_backup_domain_outlives_a_reset_when_somebody_asks_for_the_time(
    node: Node, board: str
) -> None:
    node.type("import time, machine; time.time()")
    node.type(f"machine.mem32[{KEPT[board]}] = 1234")
    node.machine.command("reset")
    node.booted()
    assert node.type(f"import machine; machine.mem32[{KEPT[board]}]") == "1234"
