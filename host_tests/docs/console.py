# SPDX-License-Identifier: MIT
"""The blocks of documents that are run: `sh`, `python`; `console` and `pycon` show answers too."""

import re
from pathlib import Path


def blocks(path: Path, kind: str = "console") -> list[str]:
    """The text of each block of this kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL)


def dialogue(block: str) -> list[tuple[str, str]]:
    """(command, what it shows) of a `console` block."""
    parts = re.split(r"^\$ (.*)\n", block, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def commands(block: str) -> list[str]:
    """The commands of an `sh` block, without the remarks behind them."""
    lines = block.replace("\\\n", "").splitlines()
    return [command for line in lines if (command := re.sub(r"(^| +)# .*", "", line).strip())]


def session(block: str) -> list[tuple[str, str]]:
    """(line, what it shows) of a `pycon` block."""
    return re.findall(r"^>>> (.*)\n((?:(?!>>>).*\n)*)", block, re.MULTILINE)
