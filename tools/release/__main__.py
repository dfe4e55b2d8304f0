# SPDX-License-Identifier: MIT
"""One folder with all that a release has: `python -m release FOLDER [BOARD...]`.

The wheel of hsxctl, the firmware of the emulated board and of each STM32 BOARD, a zip of each
package for stock MicroPython, the changelog, `room.txt`: the flash and RAM that each BOARD has
left, and `manifest.json`: version, and for each file its size and SHA-256. Made of what `make
firmware natmod` has left in build/.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path

from .packages import ROOT
from .room import table

_IMAGES = ("dfu", "hex")  # of an STM32 board
_BUILT = shutil.ignore_patterns("__pycache__", "*.so", "*.o", "_core.c", "*.egg-info")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can say: equal content, equal file


def wheel(out: Path) -> None:
    """Builds the wheel without the network, from a copy of the sources alone: what earlier builds
    have left would get into it."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet"]
    command += ["--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(out)]
    epoch = {"SOURCE_DATE_EPOCH": "315532800"}  # the same moment
    cache = {"CACHE": os.environ.get("CACHE", str(ROOT / ".cache"))}
    with tempfile.TemporaryDirectory() as copy:
        for name in ("LICENSE", "pyproject.toml", "setup.py"):
            shutil.copy(ROOT / name, copy)
        for name in ("firmware", "tools"):
            shutil.copytree(ROOT / name, Path(copy, name), ignore=_BUILT)
        subprocess.run([*command, copy], check=True, env={**os.environ, **epoch, **cache})


def emulated(out: Path, stem: str) -> None:
    """The firmware that `hsxctl sim --firmware` takes, without what a debugger needs."""
    source = ROOT / "build/qemu_m4/firmware.elf"
    command = ["arm-none-eabi-objcopy", "--strip-debug"]
    subprocess.run([*command, str(source), str(out / f"{stem}-qemu_m4.elf")], check=True)


def zipped(folder: Path, to: Path) -> None:
    """Everything in `folder`, under its own paths."""
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())


def manifest(folder: Path, version: str) -> dict:
    """What is in `folder`."""
    files = [
        {
            "name": path.name,
            "size": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in sorted(folder.iterdir())
    ]
    return {"version": version, "files": files}


def main() -> None:
    """Makes the folder anew."""
    out, boards = Path(sys.argv[1]), sys.argv[2:]
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    wheel(out)
    emulated(out, f"hsx-{version}")
    if boards:
        left = table({board: ROOT / "build" / board for board in boards})
        (out / "room.txt").write_text(left)
    for board in boards:
        for kind in _IMAGES:
            source = ROOT / "build" / board / f"firmware.{kind}"
            shutil.copyfile(source, out / f"hsx-{version}-{board}.{kind}")
    for package in sorted((ROOT / "build/natmod").glob("*/package.json")):
        arch = package.parent.name
        zipped(package.parent, out / f"hsx-{version}-mip-{arch}.zip")
    shutil.copyfile(ROOT / "CHANGELOG.md", out / "CHANGELOG.md")
    found = manifest(out, version)
    (out / "manifest.json").write_text(json.dumps(found, indent=1) + "\n")
    for file in found["files"]:
        print(f"{file['sha256']}  {file['size']:>9}  {file['name']}")
    if boards:
        print(f"\nBytes that each board has left:\n{left}", end="")
    else:
        print("No STM32 firmware: it takes a full checkout as MICROPYTHON_DIR (docs/boards.md).")


if __name__ == "__main__":
    main()
