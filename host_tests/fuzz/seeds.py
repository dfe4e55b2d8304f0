# SPDX-License-Identifier: MIT
"""Corpora to begin with: made from the golden images, so that they never fall behind them, and
what long runs have learned, of which corpus/ keeps the smallest part that reaches as far.
"""

import importlib
import os
import struct
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
GOLDEN = Path(os.environ.get("HSX_GOLDEN", HERE.parent / "golden")).resolve()
FLAT = 0xF0  # of the loader's first setting
AS_THEY_ARE = 1  # the words, of the interpreter's


def images() -> "dict[str, bytes]":
    """Every golden image, good or bad, by a name of its own."""
    found = {}
    for path in sorted(GOLDEN.glob("*/*.hxe")):
        found[f"{path.parent.name}-{path.stem}"] = path.read_bytes()
    return found


def loader_inputs() -> "dict[str, bytes]":
    """Each image in a pool that is large enough, one in four of them flat."""
    inputs = {}
    for number, (name, image) in enumerate(images().items()):
        flat = FLAT if number % 4 == 3 else 0
        inputs[name] = bytes([flat, 6, number % 4, number, 77, number % 3 * 5]) + image
    return inputs


def vm_inputs() -> "dict[str, bytes]":
    """The code of each image that has one, in slices of different sizes."""
    inputs = {}
    for number, (name, image) in enumerate(images().items()):
        if len(image) < 96:
            continue
        (code_len,) = struct.unpack_from(">I", image, 0x0C)
        code = image[96 : 96 + min(code_len, 1024)]
        settings = bytes([AS_THEY_ARE, number % 8, 0, 64, 64, 16 + number, 0, number])
        inputs[name] = settings + code
    return inputs


def of_python(name: str) -> "list[bytes]":
    """What a search in Python begins with: its seeds, what was learned, what once went wrong."""
    found = importlib.import_module(f"fuzz.fuzz_{name}").seeds()
    if archive(name).exists():
        with zipfile.ZipFile(archive(name)) as kept:
            found += [kept.read(entry) for entry in kept.namelist()]
    folder = HERE / "regressions" / name
    return found + [path.read_bytes() for path in sorted(folder.glob("*"))]


def archive(harness: str) -> Path:
    """Where the learned inputs of a harness are kept."""
    return HERE / "corpus" / f"{harness}.zip"


def keep(harness: str, folder: Path) -> int:
    """Keeps the files of `folder` as what was learned: how many."""
    with zipfile.ZipFile(archive(harness), "w", zipfile.ZIP_DEFLATED) as kept:
        for number, data in enumerate(sorted(path.read_bytes() for path in folder.iterdir())):
            kept.writestr(zipfile.ZipInfo(f"learned-{number:04}"), data, zipfile.ZIP_DEFLATED)
        return len(kept.namelist())


def write(harness: str, folder: Path) -> int:
    """All inputs to begin with, as files: how many."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in {"vm": vm_inputs, "loader": loader_inputs}[harness]().items():
        (folder / name).write_bytes(data)
    with zipfile.ZipFile(archive(harness)) as kept:
        kept.extractall(folder)
    return sum(1 for _ in folder.iterdir())
