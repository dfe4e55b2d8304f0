# SPDX-License-Identifier: MIT
"""CAN of the real firmware: a master on the bus, interrupts that come late, bus-off."""

import pytest

from hsxctl.simulate import can_bus
from stm32.emulator import MS, US, S
from stm32.node import Node

# By board: how long after the bus is free its controller may take to be back.
RETURNS = {"NUCLEO_F446RE": 2 * S, "NUCLEO_G474RE": 3 * S, "NUCLEO_H743ZI": 3 * S}
BIT = 2 * US
SET, ALL_BUT_ITS_OWN = 0x400, 0x75  # a value that is set at a node which is not there


@pytest.fixture(params=RETURNS)
def board(request: pytest.FixtureRequest) -> str:
    return str(request.param)


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


def test_a_node_comes_back_from_bus_off(node: Node, board: str) -> None:
    node.master.who()
    assert not node.talk(1, lambda: False)
    node.machine.command("disturb", 50 * MS)  # before the node answers
    node.master.present.clear()
    assert not node.talk(45, lambda: bool(node.master.present))
    assert "'off': 1" in node.type("hsx.runtime().links.runners[1].stats()")
    node.machine.run(RETURNS[board])
    assert node.who()
