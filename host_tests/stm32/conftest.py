# SPDX-License-Identifier: MIT
"""Tests of the emulated STM32 run where its CPU is installed; those of the firmware, where there
is a MicroPython checkout with ST's HAL."""

import functools
import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from boards.conftest import checkout, make
from stm32.node import ROOT, Node, built

__all__ = ["checkout", "firmware", "make"]


@pytest.fixture(scope="session")
def firmware(make: Callable[..., str]) -> Callable[[str], Path]:
    """Gives the flash image of a board's firmware, as `make firmware` makes it."""

    @functools.cache
    def image(board: str) -> Path:
        return built(board, lambda: make("firmware", board, ROOT))

    return image


@pytest.fixture
def node(board: str, firmware: Callable[[str], Path], tmp_path: Path) -> Iterator[Node]:
    """A numbered node with an empty store, alone with the master on the bus. A file of tests has
    a fixture `board`, or one `node` of its own."""
    node = Node(board, firmware(board), tmp_path)
    node.boot()
    node.type("import hsx; hsx.format('erase everything')")
    node.on_the_bus()
    yield node
    node.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if importlib.util.find_spec("unicorn") is None:
        skip = pytest.mark.skip(reason="the Python package unicorn is not installed")
        for item in items:
            if "stm32" in item.path.parts:
                item.add_marker(skip)
