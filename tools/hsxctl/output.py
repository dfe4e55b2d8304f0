# SPDX-License-Identifier: MIT
"""What a command prints: results on stdout, everything else on stderr.

With `--json` stdout carries one object per line and nothing else, so that a program may read it
line by line; without it stdout is for people. Progress shows on a terminal only.
"""

import json
import sys

from .errors import ToolError


def table(headings: list[str], rows: list[list[object]]) -> str:
    """Rows under their headings, numbers to the right; nothing for None."""
    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
    right = [any(isinstance(row[n], int) for row in rows) for n in range(len(headings))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in [headings, *cells]
    )


class Output:
    """Where the results of one command go.

    `as_json`: stdout is for a program. Both streams are looked up at each call, so that a caller
    may exchange them.
    """

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json
        self._progress_width = 0

    def result(self, facts: dict, text: str) -> None:
        """One result: `facts` for a program, `text` (any number of lines) for a person."""
        self._end_progress()
        print(json.dumps(facts) if self.as_json else text, flush=True)

    def note(self, text: str) -> None:
        """A diagnostic line that is no result."""
        self._end_progress()
        print(text, file=sys.stderr, flush=True)

    def progress(self, text: str) -> None:
        """One line that the next one overwrites; nothing where stderr is no terminal."""
        if not sys.stderr.isatty():
            return
        print("\r" + text.ljust(self._progress_width), end="", file=sys.stderr, flush=True)
        self._progress_width = len(text)

    def interrupted(self) -> None:
        """Ctrl-C: the cursor is there again, even where a bar could not be taken down."""
        if sys.stderr.isatty():
            print("\x1b[?25h", end="", file=sys.stderr)
        self.note("hsxctl: interrupted")

    def error(self, error: ToolError) -> None:
        """The end of a command that failed. stdout is flushed first, so that the order holds."""
        self._end_progress()
        sys.stdout.flush()
        if self.as_json and error.facts:
            print(json.dumps(error.facts), flush=True)
        print(f"hsxctl: {error}", file=sys.stderr, flush=True)

    def _end_progress(self) -> None:
        if self._progress_width:
            print("\r" + " " * self._progress_width + "\r", end="", file=sys.stderr, flush=True)
            self._progress_width = 0
