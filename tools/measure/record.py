# SPDX-License-Identifier: MIT
"""Figures: their names, files, targets and tables.

A name has dots (`vm.host_mips`); in a file each dot is a nested object.
"""

import json
from pathlib import Path

Figures = dict[str, float]
Targets = dict[str, tuple[str, float]]  # name -> "<=" or ">=", and the limit


def nested(figures: Figures) -> dict:
    """Figures as they stand in a file."""
    tree: dict = {}
    for name, value in figures.items():
        *path, last = name.split(".")
        place = tree
        for part in path:
            place = place.setdefault(part, {})
        place[last] = value
    return tree


def flat(tree: dict, prefix: str = "") -> Figures:
    """Figures of a file, by name."""
    figures: Figures = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            figures.update(flat(value, f"{prefix}{key}."))
        else:
            figures[prefix + key] = value
    return figures


def write(path: Path, figures: Figures) -> Figures:
    """Writes the file of a run and keeps the one before it as `NAME.last.json`. Returns that
    one's figures, none where there was no run."""
    before: Figures = {}
    if path.is_file():
        before = flat(json.loads(path.read_text()))
        path.replace(path.with_suffix(".last.json"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(nested(figures), indent=1) + "\n")
    return before


def met(value: float, target: tuple[str, float]) -> bool:
    """Whether a figure keeps its target."""
    relation, limit = target
    return value <= limit if relation == "<=" else value >= limit


def number(value: float) -> str:
    """A figure as people read it."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def table(figures: Figures, targets: Targets) -> str:
    """One line a figure, with its target where it has one."""
    rows = []
    for name, value in figures.items():
        row = [name, number(value), ""]
        if name in targets:
            relation, limit = targets[name]
            verdict = "met" if met(value, targets[name]) else "MISSED"
            row[2] = f"{relation} {number(limit)}  {verdict}"
        rows.append(row)
    return columns(rows)


def changes(before: Figures, after: Figures) -> str:
    """One line for each figure of two runs, with the change in percent."""
    rows = []
    for name in sorted(before | after):
        old, new = before.get(name), after.get(name)
        row = [name, "-" if old is None else number(old), "-" if new is None else number(new)]
        if old and new is not None:
            row.append("same" if new == old else f"{100 * (new - old) / old:+.1f} %")
        rows.append(row)
    return columns([["", "before", "now"], *rows])


def columns(rows: list[list[str]]) -> str:
    """Rows below each other; the first column to the left, numbers to the right."""
    widths = [max(len(row[n]) if n < len(row) else 0 for row in rows) for n in range(4)]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0]), row[1].rjust(widths[1])]
        cells += [cell.rjust(widths[n + 2]) for n, cell in enumerate(row[2:])]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
