# SPDX-License-Identifier: MIT
"""The REPL, the console and the link of the firmware beside each other; and the button."""

from pathlib import Path

import pytest

from stm32.emulator import LINES
from stm32.every_board import APPS, UART, Switch, assembled, board, switch_on

__all__ = ["board", "switch_on"]

# A file in RAM for the REPL: a board may have no file system.
FILE = """
import io, vfs
class Ram:
    def mount(self, readonly, mkfs): pass
    def umount(self): pass
    def stat(self, path): return (0x8000, 0, 0, 0, 0, 0, len(IMAGE), 0, 0, 0)
    def open(self, path, mode): return io.BytesIO(IMAGE)
vfs.mount(Ram(), "/ram")
import hsx
hsx.load("/ram/hello.hxe")
"""
PS = "import hsx; hsx.ps()"


@pytest.mark.parametrize("board", [name for name, (repl, _, _) in LINES.items() if repl])
def test_an_app_runs_on_while_mpremote_and_hsxctl_speak(
    switch_on: Switch, board: str, tmp_path: Path
) -> None:
    image = assembled(APPS / "hello.mvasm", tmp_path / "hello.hxe")
    node, _ = switch_on()
    repl = LINES[board][0]
    assert repl is not None
    mpremote = ("mpremote", "connect", "PORT")
    node.tool(repl, *mpremote, "resume", "exec", f"IMAGE = {image.read_bytes()!r}\n{FILE}")
    assert " hello " in node.tool(repl, *mpremote, "resume", "exec", PS)
    assert " hello " in node.tool(node.link, "hsxctl", "ps", *UART)
    assert board in node.tool(node.link, "hsxctl", "nodes", *UART)
    assert node.machine.until(node.console, b"hello> 2 x hello") == "text"
    # Without `resume` mpremote resets the board softly: the app ends, the node starts again.
    assert " hello " not in node.tool(repl, *mpremote, "exec", PS)
    assert node.machine.until(node.console, b"boot source=none state=over") == "text"


def test_the_button_asks_for_the_safe_mode(switch_on: Switch, board: str) -> None:
    node, _ = switch_on(pressed=True)
    assert "safe" in node.tool(node.link, "hsxctl", "boot", *UART)
