# SPDX-License-Identifier: MIT
"""What a terminal shows of the bytes that a program writes, and the recordings of it in docs/.

Of control sequences it has those that `rich` and hsxctl use: up, erase a line, colours and the
cursor's visibility, which change no text. Lines do not wrap.
"""

import os
import re
from pathlib import Path

DOCUMENT = Path(__file__).parents[1] / "docs" / "recordings.md"
_PARTS = re.compile(r"\x1b\[\??([\d;]*)([A-Za-z])|(\r)|(\n)|([^\x1b\r\n]+)")


def frames(shown: bytes) -> list[str]:
    """The screen after each part that was written, as long as it differs from the one before."""
    lines, row, column = [""], 0, 0
    found: list[str] = []
    for number, verb, back, down, text in _PARTS.findall(shown.decode()):
        if verb == "A":
            row = max(0, row - int(number or 1))
        elif verb == "K":
            lines[row] = ""
        elif back:
            column = 0
        elif down:
            row, column = row + 1, 0
            lines += [""] * (row + 1 - len(lines))
        elif text:
            lines[row] = (
                lines[row][:column].ljust(column) + text + lines[row][column + len(text) :]
            )
            column += len(text)
        screen = "\n".join(line.rstrip() for line in lines).rstrip()
        if not verb and (not found or screen != found[-1]):
            found.append(screen)
    return found


def plain(frame: str) -> str:
    """Without what differs from run to run: ports, how far it is, rates, times."""
    frame = re.sub(r"(?<= on )\S+", "PORT", frame)
    frame = re.sub(r"[━╸╺]+", "━", frame)
    return re.sub(r"[\d.:]*[\d-][\d.:-]*|\?|(?<=\d )[kM]?B", "#", re.sub(r" +", " ", frame))


def recorded(title: str) -> list[str]:
    """The frames under a heading of docs/recordings.md."""
    section = DOCUMENT.read_text().partition(f"## {title}\n")[2].partition("\n## ")[0]
    return re.findall(r"^```text\n(.*?)\n```", section, re.MULTILINE | re.DOTALL)


def record(title: str, chosen: list[str]) -> None:
    """With HSX_WRITE_DOCS in the environment, puts them there in the place of the old ones."""
    if "HSX_WRITE_DOCS" not in os.environ:
        return
    text = DOCUMENT.read_text()
    for old, new in zip(recorded(title), chosen, strict=True):
        text = text.replace(f"```text\n{old}\n```", f"```text\n{new}\n```", 1)
    DOCUMENT.write_text(text)
