# SPDX-License-Identifier: MIT
"""What tests on the target share: the firmware, machines to run it, and their REPL.

HSX_FIRMWARE names another ELF file than the one that `make firmware` builds.
"""

import os
from pathlib import Path

import pytest

from hsxctl.simulate.qemu import QemuNode
from repl import Repl

_FIRMWARE = Path(__file__).parents[2] / "build/qemu_m4/firmware.elf"


@pytest.fixture(scope="session")
def firmware():
    """The ELF file."""
    path = Path(os.environ.get("HSX_FIRMWARE", _FIRMWARE))
    if not path.is_file():
        pytest.skip(f"no {path}: run 'make firmware'")
    return path


@pytest.fixture
def power_up(firmware):
    """Starts machines; those that still run are ended with the test."""
    nodes = []

    def start(**options):
        node = QemuNode(firmware, **options)
        nodes.append(node)
        return node

    yield start
    for node in nodes:
        node.close()


@pytest.fixture
def connect():
    """Opens the raw REPL of a booted node; closed with the test."""
    repls = []

    def open_repl(node):
        node.wait_console("state=over")
        repls.append(Repl(node))
        return repls[-1]

    yield open_repl
    for repl in repls:
        repl.close()


@pytest.fixture
def node(power_up):
    """A machine with an empty card slot and no FRAM."""
    return power_up()


@pytest.fixture
def repl(node, connect):
    """The REPL of `node`."""
    return connect(node)
