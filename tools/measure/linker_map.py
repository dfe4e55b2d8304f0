# SPDX-License-Identifier: MIT
"""What a linker put into the firmware, from its map file: bytes of each object, by kind."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

_PIECE = re.compile(r"^ (\.\S+|COMMON)\s+0x([0-9a-f]+)\s+0x([0-9a-f]+) (\S+)$")
_FLASH = (".text", ".rodata", ".vectors")
_DATA = ".data"  # in RAM, and its first content in flash
_ZEROED = (".bss", "COMMON")
_NM = "arm-none-eabi-nm"


class Sizes:
    """Bytes of one object: `flash` code and constants, `ram` variables."""

    def __init__(self) -> None:
        self.flash = 0
        self.ram = 0


def read(path: Path) -> dict[str, Sizes]:
    """The objects of a map file; a member of an archive is called `archive(member)`."""
    objects: dict[str, Sizes] = {}
    for section, size, name in _pieces(path):
        sizes = objects.setdefault(name, Sizes())
        if section.startswith((*_FLASH, _DATA)):
            sizes.flash += size
        if section.startswith((_DATA, *_ZEROED)):
            sizes.ram += size
    return objects


def frozen(path: Path, folder: str) -> int:
    """Bytes of flash of the frozen modules of a folder, by its dotted name: each function, class
    and constant has a section that is named after its module."""
    part = "_" + folder.replace(".", "_") + "_"
    return sum(
        size
        for section, size, _ in _pieces(path)
        if section.startswith(_FLASH) and part in section
    )


def _pieces(path: Path) -> Iterator[tuple[str, int, str]]:
    """Section, bytes and object of each piece that was linked."""
    text = path.read_text().split("Linker script and memory map", 1)[1]
    # A long name stands on a line of its own.
    text = re.sub(r"\n (\.\S+)\n +0x", r"\n \1 0x", text)
    for line in text.splitlines():
        match = _PIECE.match(line)
        if match is not None:
            yield match[1], int(match[3], 16), match[4]


def pulled(objects: list[str], linked: dict[str, Sizes], library: str) -> list[str]:
    """The members of `library` (a part of an archive's path) that `objects` need, directly or
    through one another, and that are linked."""
    members = [name for name in linked if library in name]
    needs = {name: _symbols(name) for name in [*objects, *members]}
    found: list[str] = []
    looking = list(objects)
    while looking:
        wanted = needs[looking.pop()][1]
        for member in members:
            if member not in found and wanted & needs[member][0]:
                found.append(member)
                looking.append(member)
    return found


def _symbols(name: str) -> tuple[set[str], set[str]]:
    """Names that an object or a member of an archive defines, and names that it lacks."""
    archive, _, member = name.rstrip(")").partition("(")
    command = [_NM, "-P", "-g", "-A", archive]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    defined: set[str] = set()
    lacking: set[str] = set()
    for line in listed.splitlines():
        place, symbol, kind = line.split()[:3]
        if member and f"[{member}]" not in place:
            continue
        (lacking if kind in "Uw" else defined).add(symbol)
    return defined, lacking
