# SPDX-License-Identifier: MIT
"""The table of keys in docs/boot.md, made from the code."""

from hsx.boot.config import ORDER, Config
from hsx.boot.config_file import KEYS

_SPECIAL = {
    "order": "list of sources",
    "depend": "true, false",
    "safe": "true, false",
    "key": "list of tables",
}


def _default(name: str) -> str:
    if name in ("schema", "key"):
        return "required" if name == "schema" else "none"
    value = getattr(Config, name)
    if name == "order":
        return f"`{ORDER}`"
    if name in ("depend", "safe"):
        return "false"
    return f"`{value}`"


def rows() -> list[str]:
    """Its lines."""
    found = []
    for name, wanted, meaning in KEYS:
        if wanted is None:
            value = _SPECIAL[name]
        elif isinstance(wanted[0], int):
            value = str(wanted[0]) if wanted[0] == wanted[1] else f"{wanted[0]} to {wanted[1]}"
        else:
            value = ", ".join(f"`{word}`" for word in wanted)
        found.append(f"| `{name}` | {value} | {_default(name)} | {meaning} |")
    return found
