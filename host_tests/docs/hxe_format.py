# SPDX-License-Identifier: MIT
"""docs/hxe_format.md as data."""

import re
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "hxe_format.md"


def section(start: str) -> str:
    """The text under the heading that begins so."""
    parts = re.split(r"^## (.*)\n", DOCUMENT.read_text(), flags=re.MULTILINE)
    (found,) = [
        text
        for heading, text in zip(parts[1::2], parts[2::2], strict=True)
        if heading.startswith(start)
    ]
    return found


def fields(start: str, payload: bytes) -> dict[str, object]:
    """What the fields of a section's table are in a payload, which they fill without a hole."""
    row = r"^\| (\w+) \| (\d+) \| (\w+) \| (\w+) \|"
    found: dict[str, object] = {}
    end = 0
    for at, size, kind, name in re.findall(row, section(start), re.MULTILINE):
        assert int(at, 0) == end, name
        end += int(size)
        raw = payload[int(at, 0) : end]
        found[name] = {
            "text": raw.rstrip(b"\0").decode() if kind == "text" else "",
            "bytes": raw,
        }.get(kind, int.from_bytes(raw, "big"))
    assert end == len(payload)
    return found
