# SPDX-License-Identifier: MIT
"""The FRAM of the real firmware: it is found, keeps what it is given, and survives resets."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stm32.emulator import MS, US
from stm32.node import Node

# By board: SCL and SDA.
WIRES = {"NUCLEO_F446RE": ("PB10", "PB3"), "NUCLEO_H743ZI": ("PB8", "PB9")}
EMPTY = "bank A  empty"


@pytest.fixture(params=WIRES)
def board(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def node(board: str, firmware: Callable[[str], Path], tmp_path: Path) -> Iterator[Node]:
    """A node with an empty store."""
    node = Node(board, firmware(board), tmp_path)
    node.boot()
    node.type("import hsx; hsx.format('erase everything')")
    yield node
    node.close()


@pytest.fixture
def scl(board: str) -> str:
    return WIRES[board][0]


@pytest.fixture
def sda(board: str) -> str:
    return WIRES[board][1]


def level(node: Node, pin: str) -> bool:
    return node.machine.command("pin", pin) == "1"


def run_into_a_read(node: Node, scl: str, sda: str) -> None:
    """Until the bus is busy for long: a read takes a millisecond, an address some 30 us."""
    busy = 0
    while busy < 4:
        node.machine.run(50 * US)
        busy = busy + 1 if not (level(node, scl) and level(node, sda)) else 0


def reset_within_a_read(node: Node, scl: str, sda: str) -> None:
    """Resets the part while the FRAM gives a 0, which it goes on giving."""
    node.machine.power(False)
    node.machine.power(True)
    for attempt in range(20):
        run_into_a_read(node, scl, sda)
        node.machine.run(attempt * 7 * US)
        node.machine.command("reset")
        node.machine.run(1 * MS)
        if not level(node, sda):
            assert level(node, scl)
            return
    raise AssertionError("the FRAM never held SDA")


def test_a_store_outlives_the_power(node: Node) -> None:
    assert EMPTY in node.type("hsx.slots()")
    node.machine.power(False)
    assert "source=FRAM" not in node.boot()
    assert EMPTY in node.type("import hsx; hsx.slots()")
    assert any(node.fram.read_bytes())


def test_a_reset_within_a_read_does_not_cost_the_store(node: Node, scl: str, sda: str) -> None:
    reset_within_a_read(node, scl, sda)
    node.booted()
    assert EMPTY in node.type("import hsx; hsx.slots()")


def test_the_clock_of_the_fram_is_400_khz(node: Node, scl: str) -> None:
    """At most: the H743 adds to each level what its filter takes, 50 to 260 ns, here 90."""
    node.machine.command("period", scl)
    node.type("hsx.slots()")
    period = int(node.machine.command("period", scl)) / 1e12
    assert -0.001 < period * 400_000 - 1 < 0.05


def test_a_node_whose_fram_does_not_answer_says_so(node: Node, sda: str) -> None:
    node.machine.power(False)
    node.machine.command("drive", sda, "low")
    assert "source=FRAM" in node.boot()
