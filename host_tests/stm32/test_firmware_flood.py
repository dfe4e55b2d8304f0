# SPDX-License-Identifier: MIT
"""CAN drivers of the real firmware on a full bus, while interrupts are masked at random: the node
counts what it has lost as the model does, nothing else in memory changes, and it answers."""

import ast
import bisect

import pytest
from elftools.elf.elffile import ELFFile

from stm32.emulator import MS
from stm32.every_board import Switch, switch_on
from stm32.node import ROOT, Node

__all__ = ["switch_on"]

# A value for a node that is not there, and DATA of no session, RUN of each in turn. They come to
# different FIFOs of pyb.CAN.
FRAMES = (b"t40080000000075000000\r", b"t70080102030405060708\r")
RUN = 40
QUEUE = 200  # frames that the host's adapter holds
STATS = "hsx.runtime().links.runners[1].stats()"
BXCAN = {"NUCLEO_F446RE"}
# Most of the free heap, so that a stray write finds it.
GUARDS = (
    "import gc; gc.collect(); g = [bytes((n & 255,)) * 240 for n in range(gc.mem_free() // 512)]"
)
ARE_WHOLE = "all(s == bytes((n & 255,)) * 240 for n, s in enumerate(g))"


# The FIFOs of these hold three frames. Those of the H743 hold 24, and lose none here.
SHALLOW = ("NUCLEO_F446RE", "NUCLEO_G474RE")


@pytest.fixture(params=SHALLOW)
def board(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Symbols:
    """Those of the board's firmware."""

    def __init__(self, board: str) -> None:
        with (ROOT / "build" / board / "firmware.elf").open("rb") as file:
            table = ELFFile(file).get_section_by_name(".symtab")
            self._values = {symbol.name: symbol["st_value"] for symbol in table.iter_symbols()}
            self._functions = sorted(
                (symbol["st_value"] & ~1, symbol.name)
                for symbol in table.iter_symbols()
                if symbol["st_info"]["type"] == "STT_FUNC"
            )

    def function(self, address: int) -> str:
        """The one that an address is in."""
        return self._functions[bisect.bisect(self._functions, (address, "~")) - 1][1]

    def heap_tables(self) -> tuple[int, int]:
        """Address and size of the tables of MicroPython's heap, which stand at its start: for each
        block of 16 bytes two bits of its use, and one of its finaliser."""
        start, end = (self._values[name] for name in ("_heap_start", "_heap_end"))
        return start, (end - start) * 3 // 131


def flood(node: Node, count: int) -> set[int]:
    """Sends so many frames, one behind the other; gives where code writes into watched memory."""
    sent = left = 0
    stores = set()
    while left < count:
        more = min(QUEUE - (sent - left), count - sent)
        node.machine.send("can", b"".join(FRAMES[(sent + n) // RUN % 2] for n in range(more)))
        sent += more
        node.machine.run(20 * MS)
        left += node.machine.take("can").count(b"z\r")
        writes = node.machine.command("watched").split()
        stores.update(int(write.split(":")[1], 16) for write in writes)
    return stores


def stats(node: Node) -> dict[str, int]:
    found: dict[str, int] = ast.literal_eval(node.type(STATS))
    return found


def lost(node: Node) -> list[int]:
    """Frames that the FIFOs had no room for, and how often a flag was set for that."""
    return [int(number) for number in node.machine.command("lost").split()]


def loses_no_more_than_it_says(node: Node, board: str, count: int) -> None:
    node.on_the_bus()
    node.type("import hsx")
    assert not node.type(GUARDS)
    before, lost_before = stats(node), lost(node)
    symbols = Symbols(board)
    start, size = symbols.heap_tables()
    node.machine.command("watch", f"{start:x}", size)

    node.machine.command("mask", MS)
    stores = flood(node, count)
    node.machine.command("mask", 0)
    node.machine.run(50 * MS)

    writers = {symbols.function(pc) for pc in stores}
    assert not {name for name in writers if not name.startswith("gc_")}
    after = stats(node)
    frames, flags = (new - old for new, old in zip(lost(node), lost_before, strict=True))
    assert frames > 0
    told = after["overruns"] - before["overruns"]
    # A flag that is set in the microseconds in which a bxCAN's driver takes a frame is cleared
    # unseen (`can_receive` writes back what it reads).
    assert flags * (0.95 if board in BXCAN else 1) <= told <= flags
    came = after["received"] - before["received"] + after["lost"] - before["lost"]
    assert came + frames == count
    assert node.type(ARE_WHOLE) == "True"
    assert node.who()


def test_a_full_bus_while_interrupts_are_masked(switch_on: Switch, board: str) -> None:
    loses_no_more_than_it_says(switch_on()[0], board, 8_000)


@pytest.mark.complete("25 s of a full bus take half a minute and more, on each board")
def test_a_hundred_thousand_frames_while_interrupts_are_masked(
    switch_on: Switch, board: str
) -> None:
    loses_no_more_than_it_says(switch_on()[0], board, 100_000)
