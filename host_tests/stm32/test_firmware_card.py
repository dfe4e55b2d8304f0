# SPDX-License-Identifier: MIT
"""A card in the slot of the real firmware, and what comes over its links into the FRAM."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hsxctl.cli import main
from stm32.emulator import MS, S
from stm32.node import ROOT, Node

BOARDS = ("NUCLEO_F446RE", "NUCLEO_H743ZI")
HELLO = "hello> 3 x hello, from an image on an SD card"


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image of a card with one app; the app's own image stands beside it."""
    folder = tmp_path_factory.mktemp("card")
    apps = folder / "apps"
    apps.mkdir()
    source = ROOT / "tools/demo/apps/hello.mvasm"
    assert main(["asm", str(source), "-o", str(apps / "hello.hxe")]) == 0
    assert main(["sdcard", str(apps), "-o", str(folder / "card.img")]) == 0
    return folder / "card.img"


@pytest.fixture(params=BOARDS)
def start(
    request: pytest.FixtureRequest, firmware: Callable[[str], Path], tmp_path: Path
) -> Iterator[Callable[..., tuple[Node, str]]]:
    """Starts a node: gives it and the log of its boot."""
    nodes = []

    def started(**settings: str | Path) -> tuple[Node, str]:
        nodes.append(Node(request.param, firmware(request.param), tmp_path, **settings))
        return nodes[-1], nodes[-1].boot()

    yield started
    for node in nodes:
        node.close()


def test_a_node_boots_from_its_card(start: Callable[..., tuple[Node, str]], card: Path) -> None:
    # A real card takes up to a second to get ready.
    node, log = start(card=card, card_ready="300000", card_latency="1500")
    assert "scan listed=1 source=SD started=1 state=done" in log
    assert node.machine.until(node.console, HELLO.encode()) == "text"


def test_a_card_is_taken_out_and_put_in(
    start: Callable[..., tuple[Node, str]], card: Path
) -> None:
    node, log = start(card=card)
    assert "started=1" in log
    node.machine.command("card", "out")
    assert node.machine.until(node.console, b"source=SD state=removed", 3 * S) == "text"
    node.machine.take(node.console)
    node.machine.command("card", "in", card)
    assert node.machine.until(node.console, b"listed=1 source=SD", 3 * S) == "text"


def test_pushed_apps_stay_in_the_fram(start: Callable[..., tuple[Node, str]], card: Path) -> None:
    node, _ = start()
    image = str(card.parent / "apps/hello.hxe")
    node.type("import hsx; hsx.format('erase everything')")
    node.on_the_bus()
    can = ["--can", "slcan:PORT", "--option", "sleep_after_open=0"]
    node.tool("can", "hsxctl", "push", image, "--node", "5", *can)
    assert " hello " in node.tool(node.link, "hsxctl", "ps", "--uart", "PORT")
    node.tool(node.link, "hsxctl", "push", image, "--uart", "PORT")
    assert " hello " in node.tool("can", "hsxctl", "ps", "--node", "5", *can)
    node.machine.run(100 * MS)
    node.machine.power(False)
    assert "source=FRAM" in node.boot()
    assert node.machine.until(node.console, HELLO.encode()) == "text"
