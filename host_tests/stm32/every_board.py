# SPDX-License-Identifier: MIT
"""What tests of all boards' firmware share: the boards, and nodes of them that find a store."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hsx.store.file_region import FileRegion
from hsx.store.store import Store
from hsxctl.cli import main
from stm32.node import ROOT, Node

APPS = ROOT / "tools/demo/apps"
FRAM_SIZE = 0x20000

# By board: whether it has a slot for a card.
BOARDS = {
    "PYBV11": True,
    "NUCLEO_F446RE": True,
    "NUCLEO_G474RE": False,
    "NUCLEO_H743ZI": True,
}
# The pin of its button, and the level of that while somebody presses it.
BUTTONS = {
    "PYBV11": ("PB3", "low"),
    "NUCLEO_F446RE": ("PC13", "low"),
    "NUCLEO_G474RE": ("PC13", "high"),
    "NUCLEO_H743ZI": ("PC13", "high"),
}

CAN = ("--can", "slcan:PORT", "--option", "sleep_after_open=0", "--node", "5")
UART = ("--uart", "PORT")


def assembled(source: Path, image: Path) -> Path:
    """The image of an app."""
    assert main(["asm", str(source), "-o", str(image)]) == 0
    return image


def card_of(folder: Path, app: str) -> Path:
    """The image of a card with one app of the demo."""
    apps = folder / "apps"
    apps.mkdir()
    assembled(APPS / f"{app}.mvasm", apps / f"{app}.hxe")
    assert main(["sdcard", str(apps), "-o", str(folder / "card.img")]) == 0
    return folder / "card.img"


def formatted(fram: Path) -> None:
    """Makes a FRAM with an empty store, as `hsx.format()` leaves it."""
    region = FileRegion(str(fram), FRAM_SIZE)
    Store(region).format("erase everything")
    region.close()


@pytest.fixture(params=BOARDS)
def board(request: pytest.FixtureRequest) -> str:
    return str(request.param)


Switch = Callable[..., tuple[Node, str]]


@pytest.fixture
def switch_on(board: str, firmware: Callable[[str], Path], tmp_path: Path) -> Iterator[Switch]:
    """Starts the board with an empty store, maybe with its button pressed; gives the node and the
    log of its boot."""
    nodes: list[Node] = []

    def started(pressed: bool = False, **settings: str | Path) -> tuple[Node, str]:
        formatted(tmp_path / "fram")
        nodes.append(Node(board, firmware(board), tmp_path, **settings))
        if pressed:
            nodes[-1].machine.command("drive", *BUTTONS[board])
        return nodes[-1], nodes[-1].boot()

    yield started
    for node in nodes:
        node.close()
