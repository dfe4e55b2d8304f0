# SPDX-License-Identifier: MIT
"""python -m boardcheck FOLDER...: checks boards' folders; prints sizes and what is wrong."""

import os
import sys
from pathlib import Path

from boardcheck import ROOT, Board, check, sizes


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
            print(board.name + ": " + ", ".join(f"{k} {v:,}" for k, v in sizes(board).items()))
        failed += len(wrong)
    return 1 if failed else 0


sys.exit(main())
