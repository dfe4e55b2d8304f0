# SPDX-License-Identifier: MIT
"""What a person says once and not with each command: `~/.config/hsxctl.toml`, then `hsxctl.toml`
in the current folder; the latter goes first, key by key, and an option of a command before both.
"""

import tomllib
from pathlib import Path
from typing import Any

from .errors import USAGE, ToolError

FILES = (Path("~/.config/hsxctl.toml"), Path("hsxctl.toml"))
LINKS = ("uart", "can", "repl")  # one of them
KEYS: dict[str, tuple[type, ...]] = {
    "uart": (str,),
    "baud": (int,),
    "can": (str,),
    "repl": (str,),
    "bitrate": (int,),
    "share": (int, float),
    "options": (dict,),
    "node": (int, str, list),
    "network": (int,),
    "key": (str,),
}


def load() -> dict[str, Any]:
    """All keys of both files. `key` is a path from the folder of its file on. A link of one file
    takes the place of the other's. ToolError, status USAGE: a file is no TOML or has a key that
    does not exist, or of another type."""
    found: dict[str, Any] = {}
    for place in FILES:
        path = place.expanduser()
        if not path.is_file():
            continue
        table = _read(path)
        if any(link in table for link in LINKS):
            for link in LINKS:
                found.pop(link, None)
        if "key" in table:
            table["key"] = str(path.parent / Path(table["key"]).expanduser())
        found.update(table)
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        table = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ToolError(f"no TOML: {error}", str(path), "Correct it.", USAGE) from None
    for key, value in table.items():
        if key not in KEYS:
            raise ToolError(
                f"unknown key '{key}'", str(path), f"There are: {', '.join(KEYS)}.", USAGE
            )
        if not isinstance(value, KEYS[key]) or isinstance(value, bool):
            names = " or ".join(kind.__name__ for kind in KEYS[key])
            raise ToolError(f"'{key}' is no {names}", str(path), "Correct it.", USAGE)
    links = [link for link in LINKS if link in table]
    if len(links) > 1:
        raise ToolError(
            f"both {' and '.join(links)}", str(path), "Keep the one that is meant.", USAGE
        )
    return table
