# SPDX-License-Identifier: MIT
"""The firmware of every board: it boots, runs the app of a card, takes pushes by UART and CAN, and
comes back from resets, the watchdog and bus-off."""

from pathlib import Path

import pytest

from stm32.emulator import MS, S
from stm32.every_board import APPS, BOARDS, CAN, UART, Switch, assembled, board, card_of, switch_on
from stm32.node import Node

__all__ = ["board", "switch_on"]

HELLO = b"hello> 2 x hello"
WATCHDOG = 30 * S  # what BOOT of the boards asks for


def runs_from_the_fram(node: Node, log: str) -> bool:
    node.machine.take(node.console)
    return "boot source=FRAM" in log and node.machine.until(node.console, HELLO) == "text"


@pytest.mark.parametrize("board", [name for name, has_card in BOARDS.items() if has_card])
def test_the_app_of_a_card_runs(switch_on: Switch, tmp_path: Path) -> None:
    # A real card takes up to a second to get ready.
    node, log = switch_on(
        card=card_of(tmp_path, "hello"), card_ready="300000", card_latency="1500"
    )
    assert "scan listed=1 source=SD started=1 state=done" in log
    assert node.machine.until(node.console, HELLO) == "text"


def test_pushed_apps_outlive_resets_and_the_watchdog(switch_on: Switch, tmp_path: Path) -> None:
    hello = str(assembled(APPS / "hello.mvasm", tmp_path / "hello.hxe"))
    ramp = str(assembled(APPS / "ramp.mvasm", tmp_path / "ramp.hxe"))
    node, log = switch_on()
    assert "boot source=none" in log and "there is no store" not in log
    node.on_the_bus()
    node.tool(node.link, "hsxctl", "push", ramp, *UART)
    assert " ramp " in node.tool("can", "hsxctl", "ps", *CAN)
    node.tool(node.link, "hsxctl", "confirm", *UART)
    node.tool("can", "hsxctl", "push", hello, *CAN)
    assert " hello " in node.tool(node.link, "hsxctl", "ps", *UART)
    node.tool("can", "hsxctl", "confirm", *CAN)

    node.machine.take(node.console)
    node.machine.command("reset")
    assert runs_from_the_fram(node, node.booted())
    assert "hard" in node.tool(node.link, "hsxctl", "boot", *UART)

    node.machine.take(node.console)
    node.tool(node.link, "hsxctl", "reset", *UART)
    assert runs_from_the_fram(node, node.booted())

    node.machine.take(node.console)
    node.machine.command("hold", WATCHDOG)  # nothing is polled
    assert node.machine.until(node.console, b"state=over", WATCHDOG + S) == "text"
    assert runs_from_the_fram(node, node.machine.take(node.console).decode())
    assert "watchdog" in node.tool(node.link, "hsxctl", "boot", *UART)


def test_a_node_comes_back_from_bus_off(switch_on: Switch) -> None:
    node, _ = switch_on()
    node.on_the_bus()
    node.master.who()
    assert not node.talk(1, lambda: False)
    node.machine.command("disturb", 50 * MS)  # before the node answers
    node.master.present.clear()
    assert not node.talk(45, lambda: bool(node.master.present))
    assert any(node.who() for _ in range(24))  # within a second of the bus being free
