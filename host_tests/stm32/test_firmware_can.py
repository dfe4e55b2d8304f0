# SPDX-License-Identifier: MIT
"""CAN of the real firmware: a master on the bus, interrupts that come late, bus-off."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hsxctl.simulate import can_bus
from stm32.emulator import MS, US
from stm32.node import Node

BOARD = "NUCLEO_F446RE"
BIT = 2 * US
SET, ALL_BUT_ITS_OWN = 0x400, 0x75  # a value that is set at a node which is not there


@pytest.fixture
def node(firmware: Callable[[str], Path], tmp_path: Path) -> Iterator[Node]:
    """A numbered node, alone with the master on the bus."""
    node = Node(BOARD, firmware(BOARD), tmp_path)
    node.boot()
    node.type("import hsx; hsx.format('erase everything')")
    node.on_the_bus()
    yield node
    node.close()


def test_a_node_keeps_listening_when_interrupts_come_late(node: Node) -> None:
    """Frames come in pairs; interrupts are held until shortly before the second one is there. The
    handler has then emptied the FIFO, and its interrupt is pending again, when it comes."""
    data = bytes((0, 0, 0, 0, ALL_BUT_ITS_OWN, 0, 0, 0))
    second = (2 * can_bus.bits(SET, data) - 3) * BIT
    silent = []
    for early in range(60):
        node.machine.command("hold", second - early * US)
        node.send(SET, data)
        node.send(SET, data)
        node.frames(2 * MS)
        if not node.who():
            silent.append(early)
    assert not silent


def test_a_node_comes_back_from_bus_off(node: Node) -> None:
    node.master.who()
    assert not node.talk(1, lambda: False)
    node.machine.command("disturb", 50 * MS)  # before the node answers
    node.master.present.clear()
    assert not node.talk(45, lambda: bool(node.master.present))
    assert "'off': 1" in node.type("hsx.runtime().links.runners[1].stats()")
    node.machine.run(100 * MS)
    assert node.who()
