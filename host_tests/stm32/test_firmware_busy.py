# SPDX-License-Identifier: MIT
"""A push over a full CAN bus while all the rest of the board is busy: the REPL reads the card and
prints, a host asks over the UART. Where no REPL reads it, a card comes in within the push."""

import itertools
import random
import shutil
from pathlib import Path

from hsx.link.host_messages import pack_request
from hsx.link.uart_master import UartMaster
from stm32.emulator import LINES
from stm32.every_board import APPS, BOARDS, CAN, Switch, assembled, board, card_of, switch_on
from stm32.node import Node

__all__ = ["board", "switch_on"]

# Of another protocol on the same bus, less urgent than all of ours. A bxCAN takes it, its ring
# does not.
FILLING = "T1FFFFFFF8A5A5A5A5A5A5A5A5"
READS = "while True: print(len(open('/sd/ramp.hxe', 'rb').read()), 'bytes')"
PRINTS = "while True: print('the REPL is busy')"
RATE = 11_520  # bytes a second, at 115,200 bit/s


class Asker:
    """A host that asks over the UART what runs, again and again. `answers`: replies so far."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._engine = UartMaster(itertools.count(1).__next__, rate=RATE)
        self._question = self._engine.hello()
        self.answers = 0

    def turn(self) -> None:
        """Sends and receives what is due now."""
        machine, engine = self._node.machine, self._engine
        now = machine.time_ps // 1_000_000_000
        frame = engine.output(now)
        if frame:
            machine.send(self._node.link, frame)
        engine.receive(machine.take(self._node.link), now)
        engine.poll(now)
        if self._question.over():
            self.answers += self._question.reply is not None
            self._question = engine.request(pack_request("ps", 0, 0))


def large_app(folder: Path) -> Path:
    """An image of some kilobytes, which cannot be mistaken for another one."""
    source = folder / "large.mvasm"
    shutil.copy(APPS / "decimal.mvasm", folder)
    rows = (
        f".byte {', '.join(str(byte) for byte in random.Random(n).randbytes(16))}"
        for n in range(256)
    )
    source.write_text((APPS / "hello.mvasm").read_text() + "\n".join(rows) + "\n")
    return assembled(source, folder / "large.hxe")


def test_a_push_passes_a_busy_node(switch_on: Switch, board: str, tmp_path: Path) -> None:
    image = large_app(tmp_path)
    card = card_of(tmp_path, "ramp")
    reads = BOARDS[board] and LINES[board][0] is not None
    node, _ = switch_on(**({"card": card} if reads else {}))
    node.on_the_bus()
    node.machine.take(node.console)
    if node.repl is not None:
        node.machine.send(node.repl, (READS if reads else PRINTS).encode() + b"\r\r")
    asker, printed = Asker(node), 0
    store = node.fram.read_bytes()
    card_is_due = BOARDS[board] and not reads

    def beside() -> None:
        nonlocal printed, card_is_due
        asker.turn()
        if node.repl is not None:
            printed += len(node.machine.take(node.repl))
        if card_is_due and node.fram.read_bytes() != store:
            node.machine.command("card", "in", card)
            card_is_due = False

    node.machine.command("fill", FILLING)
    node.tool("can", "hsxctl", "push", str(image), *CAN, beside=beside)
    node.machine.command("fill", "off")
    assert not card_is_due
    assert image.read_bytes() in node.fram.read_bytes()
    assert node.machine.until(node.console, b"large> 2 x hello") == "text"
    assert asker.answers > 5
    assert node.repl is None or printed > 1000
    assert " large " in node.tool("can", "hsxctl", "ps", *CAN)
