# SPDX-License-Identifier: MIT
"""python -m boardcheck FOLDER...: checks boards' folders; prints sizes, or what is wrong; and what
MicroPython takes in the build, if there is one."""

import os
import sys
from pathlib import Path

from boardcheck import ROOT, Board, check, share, sizes


def listed(found: "dict[str, int]") -> str:
    """Names and numbers in a line."""
    return ", ".join(f"{name} {number:,}" for name, number in found.items())


def main() -> int:
    """0: all is well; 1: something is wrong; 2: wrong usage."""
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    failed = 0
    micropython = Path(os.environ["MICROPYTHON_DIR"])
    for name in sys.argv[1:]:
        if not (Path(name) / "board.json").is_file():
            print(f"boardcheck: {name}: no board's folder, it has no board.json", file=sys.stderr)
            return 2
        board = Board(Path(name), micropython, ROOT / "build" / "boardcheck" / Path(name).name)
        wrong = check(board)
        for line in wrong:
            print(f"{board.name}: {line}")
        if not wrong:
            print(f"{board.name}: {listed(sizes(board))}")
        elf = Path("build") / board.name / "firmware.elf"
        if not wrong and elf.exists():
            print(f"{board.name}: MicroPython's share of its build: {listed(share(board, elf))}")
        failed += len(wrong)
    return 1 if failed else 0


sys.exit(main())
