# SPDX-License-Identifier: MIT
"""The table of docs/boot.md: what runs after a boot."""

from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "boot.md"
BANKS = ("none", "confirmed", "trial", "damaged")
CARDS = ("none", "good", "newer", "older", "damaged", "bad manifest")
BUSES = ("none", "serving", "dying")

_HEAD = "| bank | SD | CAN none | CAN serving | CAN dying |"


def expected() -> dict[tuple[str, str, str], str]:
    """(bank, card, bus) -> what runs, in the words of the table."""
    lines = PAGE.read_text().splitlines()
    start = lines.index(_HEAD) + 2
    found = {}
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        bank, card, *outcomes = [cell.strip() for cell in line.strip("|").split("|")]
        for bus, outcome in zip(BUSES, outcomes, strict=True):
            found[bank, card, bus] = outcome
    return found


def cases() -> list[tuple[str, str, str]]:
    """All of them."""
    return [(bank, card, bus) for bank in BANKS for card in CARDS for bus in BUSES]
