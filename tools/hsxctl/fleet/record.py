# SPDX-License-Identifier: MIT
"""A roll-out in a file: how it goes on after an interruption, and what it leaves."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import USAGE, ToolError
from . import rollout as r

_FORMAT = 1


@dataclass
class Record:
    """`files`: what the set is made of, absolute paths; `images`: what is in it; `place`: the
    link; `expect`: values and the range of each; `saved`: when, seconds since 1970."""

    path: Path
    rollout: r.Rollout
    files: list[str]
    images: list[dict[str, Any]]
    place: str
    expect: list[tuple[str, float, float]] = field(default_factory=list)
    saved: float = 0.0

    def facts(self) -> dict[str, Any]:
        """All of it, as the file has it."""
        return {
            "format": _FORMAT,
            "saved": self.saved,
            "place": self.place,
            "verdict": r.verdict(self.rollout),
            "files": self.files,
            "images": self.images,
            "expect": [list(entry) for entry in self.expect],
            "rollout": r.to_data(self.rollout),
        }

    def save(self, now: float) -> None:
        """Into the file: whole, or as it was."""
        self.saved = now
        beside = self.path.with_name(self.path.name + ".new")
        beside.write_text(json.dumps(self.facts(), indent=1) + "\n")
        os.replace(beside, self.path)


def load(path: Path) -> Record:
    """ToolError: it is no such file; OSError."""
    try:
        facts = json.loads(path.read_text())
        if facts["format"] != _FORMAT:
            raise ValueError("it is of another version")
        return Record(
            path,
            r.from_data(facts["rollout"]),
            facts["files"],
            facts["images"],
            facts["place"],
            [(name, low, high) for name, low, high in facts["expect"]],
            facts["saved"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ToolError(
            f"EBADMSG: no roll-out: {error}",
            str(path),
            "Name the file that 'hsxctl push --canaries' has written.",
        ) from None


def require_free(path: Path) -> None:
    """ToolError: a roll-out in this file is not over yet, or has stopped and nodes may run its
    set, which nothing else knows; or its page would take its place."""
    if path.suffix == ".html":
        raise ToolError("the page would take its place", str(path), "Name a .json.", USAGE)
    if not path.exists():
        return
    kept = load(path).rollout
    verdict = r.verdict(kept)
    if verdict == "open":
        raise ToolError(
            "a roll-out in this file is not over",
            str(path),
            f"Go on with it: 'hsxctl fleet resume {path}'; or name another file: --state.",
            USAGE,
        )
    may_run = [n for n, node in kept.nodes.items() if node.state in (*r.MAY_RUN_IT, r.STUCK)]
    if verdict in ("halted", "stuck") and may_run:
        numbers = ", ".join(map(str, sorted(may_run)))
        raise ToolError(
            f"a roll-out in this file has stopped, and may have left its set on {numbers}",
            str(path),
            f"Take it back: 'hsxctl fleet undo {path}'; or name another file: --state.",
            USAGE,
        )
