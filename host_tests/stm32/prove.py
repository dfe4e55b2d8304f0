# SPDX-License-Identifier: MIT
"""Proves the firmware of a board on an emulated STM32: `make prove` without a port."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from hsxctl import fat_image
from hsxctl.errors import INTERRUPTED
from prove.__main__ import arguments
from prove.__main__ import main as proved
from prove.desk import app
from stm32.emulate import started
from stm32.emulator import LINES, has_unicorn


def main(argv: list[str]) -> int:
    """Adds the emulated board's ports to the options: the exit code. Its FRAM is its own, so that
    it may be erased, and an app is on its card."""
    parser = arguments()
    board = parser.parse_args(argv).board
    if board not in LINES:
        parser.error(f"name the ports of your board, or one of {', '.join(LINES)} as BOARD=")
    if not has_unicorn():
        parser.error("the emulator needs the Python package unicorn: pip install unicorn==2.1.4")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(INTERRUPTED))  # the emulator ends, too
    # It shares its core with other programs, and may answer late.
    os.environ.setdefault("HSXCTL_PATIENCE", "8")
    with tempfile.TemporaryDirectory() as folder:
        card = Path(folder) / "card.img"
        fat_image.write(card, fat_image.SMALLEST, [("card.hxe", app("card", 500))])
        try:
            with started(board, card, Path(folder) / "fram", 1) as (_, ptys):
                repl, _, link = LINES[board]
                ports = ["--uart", ptys[link], "--can", f"slcan:{ptys['can']}", "--erase"]
                if repl is not None:
                    ports += ["--repl", ptys[repl]]
                return proved([*argv, *ports])
        except (FileNotFoundError, subprocess.CalledProcessError) as error:
            parser.error(str(error))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
