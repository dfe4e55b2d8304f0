# SPDX-License-Identifier: MIT
"""How much flash and RAM a board's firmware leaves, from what the linker has made."""

import re
import subprocess
from pathlib import Path
from typing import NamedTuple

_REGION = re.compile(r"^\S+ +0x([0-9a-f]+) +0x([0-9a-f]+) +\S+$", re.M)
_SYMBOL = re.compile(r"^([0-9a-f]+) . (_\w+)$", re.M)


class Room(NamedTuple):
    """Bytes. `image`: what is in flash; `flash_left`: behind it, to the end of its part of the
    flash; `variables`: RAM in front of the heap; `heap`: of MicroPython."""

    image: int
    flash_left: int
    variables: int
    heap: int


def room(build: Path) -> Room:
    """Of the build of a board: `firmware.elf` and `firmware.map` in the folder `build`."""
    at = {name: int(value, 16) for value, name in _SYMBOL.findall(_told("nm", build))}
    end = at["_sidata"] + at["_edata"] - at["_sdata"]
    listed = (build / "firmware.map").read_text().split("Memory Configuration", 1)[1]
    listed = listed.split("Linker script and memory map", 1)[0]
    regions = [(int(start, 16), int(size, 16)) for start, size in _REGION.findall(listed)]
    # A part of the flash is a region within that of the whole.
    _, last = min((size, start + size) for start, size in regions if start < end <= start + size)
    variables = at["_heap_start"] - at["_ram_start"]
    heap = at["_heap_end"] - at["_heap_start"]
    text, data = map(int, _told("size", build).splitlines()[1].split()[:2])
    return Room(text + data, last - end, variables, heap)


def _told(tool: str, build: Path) -> str:
    command = [f"arm-none-eabi-{tool}", str(build / "firmware.elf")]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def table(builds: dict[str, Path]) -> str:
    """A line for each board, by name."""
    lines = ["board          image in flash  flash left  variables  heap of MicroPython"]
    for board, build in builds.items():
        found = room(build)
        lines.append(
            f"{board:<14} {found.image:>14,} {found.flash_left:>11,} {found.variables:>10,} "
            f"{found.heap:>20,}"
        )
    return "\n".join(lines) + "\n"
