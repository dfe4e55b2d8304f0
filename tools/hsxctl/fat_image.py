# SPDX-License-Identifier: MIT
"""Files into a FAT volume, with mtools.

`pyfatfs` was tried first: it needs `pkg_resources`, which setuptools 82 dropped, and its boot
sector has zero heads and sectors, which other readers refuse. mtools writes what cards carry.

The same files give the same bytes: serial number, label and times are fixed.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from .errors import ToolError

SMALLEST = 16 << 20  # bytes; below it a FAT16 would have fewer clusters than it must have
LARGEST = 32 << 30
_FAT16_LARGEST = 512 << 20  # clusters of 8 KiB and more waste too much of a card of small images
_HEADS, _SECTORS = 64, 32  # 1 MiB a cylinder: every power of two from SMALLEST on is whole
_EPOCH = "1767225600"  # 2026-01-01; also the files' time, which is not the point of a card


def size_for(content: int) -> int:
    """Bytes of a volume for `content` bytes of files: a power of two, as emulated and real cards
    have it, with room to add as much again."""
    size = SMALLEST
    while size < 2 * content:
        size *= 2
    return size


def write(target: Path, size: int, files: list[tuple[str, bytes]]) -> str:
    """Makes the volume `target` of `size` bytes (a power of two) with `files`, names without
    folders. Gives "FAT16" or "FAT32". ToolError if mtools is missing or refuses."""
    kind = "FAT16" if size <= _FAT16_LARGEST else "FAT32"
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        volume = Path(folder) / "volume"
        with volume.open("wb") as file:
            file.truncate(size)
        geometry = ["-T", str(size // 512), "-h", str(_HEADS), "-s", str(_SECTORS)]
        options = ["-F"] if kind == "FAT32" else []
        _mtools("mformat", volume, *geometry, *options, "-N", "48535821", "-v", "HSX", "::")
        sources = []
        for name, data in files:
            path = Path(folder) / name
            path.write_bytes(data)
            sources.append(str(path))
        if sources:
            _mtools("mcopy", volume, "-o", *sources, "::")
        shutil.move(volume, target)
    return kind


def _mtools(tool: str, volume: Path, *arguments: str) -> None:
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "SOURCE_DATE_EPOCH": _EPOCH,
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
        "MTOOLSRC": os.devnull,
    }
    try:
        done = subprocess.run(
            [tool, "-i", str(volume), *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
    except FileNotFoundError:
        raise ToolError(
            f"{tool} is missing", "", "Install the Debian package mtools, or run 'make setup'."
        ) from None
    if done.returncode:
        last = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise ToolError(f"{tool}: {last}", "", "Is there room on the disk?")
