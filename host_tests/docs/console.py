# SPDX-License-Identifier: MIT
"""The `console` blocks of documents: commands, and what they show."""

import re
from pathlib import Path


def blocks(path: Path) -> list[str]:
    """The text of each block."""
    return re.findall(r"^```console\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL)


def dialogue(block: str) -> list[tuple[str, str]]:
    """(command, what it shows) of a block."""
    parts = re.split(r"^\$ (.*)\n", block, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))
