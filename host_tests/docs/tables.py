# SPDX-License-Identifier: MIT
"""The tables of documents that mirror code, as data."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def table(document: str, *heads: str) -> list[list[str]]:
    """The rows of all tables of a document whose columns begin with these heads."""
    found: list[list[str]] = []
    times = 0
    for block in re.findall(r"(?:^\|.*\n)+", (DOCS / document).read_text(), re.MULTILINE):
        first, _, *rows = [
            [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]
            for line in block.splitlines()
        ]
        if tuple(first[: len(heads)]) == heads:
            times += 1
            found += rows
    assert times, (document, heads)
    return found


def coded(cell: str) -> list[str]:
    """What stands in `code` in a cell or a text."""
    return re.findall(r"`([^`]+)`", cell)
