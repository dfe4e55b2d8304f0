# SPDX-License-Identifier: MIT
"""docs/provisioning_protocol.md as data."""

import re
from pathlib import Path
from typing import Any, NamedTuple

DOCUMENT = Path(__file__).parents[2] / "docs" / "provisioning_protocol.md"


class Field(NamedTuple):
    """A row of the tables of requests and events: `part` is request, reply, row; of an event
    whether the field is always there (yes, -)."""

    owner: str
    part: str
    name: str
    type: str


def section(heading: str) -> str:
    parts = re.split(r"^## (.*)\n", DOCUMENT.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))[heading]


def table(heading: str, first: str) -> list[list[str]]:
    """The cells of the table in a section whose first column is called `first`; an empty cell of
    that column stands for the one above it."""
    found: list[list[str]] = []
    for block in re.findall(r"(?:^\|.*\n)+", section(heading), re.MULTILINE):
        head, _, *rows = [
            [cell.strip() for cell in line.strip("|\n").split("|")] for line in block.splitlines()
        ]
        if head[0] == first:
            for row in rows:
                found.append([row[0] or found[-1][0], *row[1:]])
    assert found, (heading, first)
    return found


def requests() -> list[Field]:
    rows = table("Requests", "request")
    return [Field(row[0], row[1], row[2].strip("`"), row[3]) for row in rows]


def events() -> list[Field]:
    rows = table("Events", "event")
    return [Field(row[0].strip("`"), row[3], row[1].strip("`"), row[2]) for row in rows]


def words() -> list[str]:
    (block,) = re.findall(r"```text\n(.*?)```", section("Words"), re.DOTALL)
    return block.split()


def errors() -> list[tuple[int, str]]:
    return [(int(row[0]), row[1]) for row in table("Errors", "errno")]


def fits(value: Any, type: str) -> bool:
    """Whether a value is of a documented type."""
    if value is None:
        return type.endswith(" or none")
    kind = type.removesuffix(" or none")
    if isinstance(value, bool):
        return kind == "flag"
    if isinstance(value, int):
        return kind == "integer" or (kind == "number" and value >= 0)
    return kind == {str: "text", bytes: "bytes"}[value.__class__]
