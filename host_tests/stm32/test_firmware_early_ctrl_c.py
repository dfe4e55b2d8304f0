# SPDX-License-Identifier: MIT
"""A Ctrl-C while the real firmware starts, as mpremote sends it, leaves a board with its node."""

from collections.abc import Callable
from pathlib import Path

from stm32.emulator import MS, S
from stm32.node import Node

BOARD = "NUCLEO_F446RE"


def test_ctrl_c_within_the_imports_of_the_boot_is_dropped(
    firmware: Callable[[str], Path], tmp_path: Path
) -> None:
    node = Node(BOARD, firmware(BOARD), tmp_path)
    node.boot()  # the first one makes the filesystem
    try:
        for milliseconds in (9, 12, 18, 24, 30):
            node.machine.power(False)
            node.machine.power(True)
            node.machine.run(milliseconds * MS)
            node.machine.take(node.repl)
            node.machine.send(node.repl, b"\x03")
            assert node.machine.until(node.repl, b">>> ", 5 * S) == "text"
            assert "no node runs" not in node.type("import hsx; hsx.runtime()"), milliseconds
    finally:
        node.close()
