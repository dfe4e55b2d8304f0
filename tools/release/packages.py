# SPDX-License-Identifier: MIT
"""Packages for stock MicroPython: `python -m release.packages FOLDER`.

FOLDER/ARCH has the native modules of one architecture (firmware/native/bindings/natmod). Beside
them come the package `hsx` and the modules `board` and `stock` as .mpy files, which cost a node
less RAM than their sources, and `package.json`, so that `mpremote mip install` takes the folder.
"""

import json
import os
import runpy
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NATIVE = ("hsxvm.mpy", "hsxed25519.mpy")
_FIRMWARE = ROOT / "firmware"
_STOCK = ROOT / "boards/stock"


def sources() -> dict[str, Path]:
    """Python files of a package: name on the node, without its ending -> file."""
    # MicroPython's manifest language gives `package`; what is frozen is what is packed.
    listed: list[str] = []
    here = os.getcwd()
    os.chdir(_FIRMWARE)
    try:
        runpy.run_path(
            "manifest.py", {"package": lambda name, files, base_path: listed.extend(files)}
        )
    finally:
        os.chdir(here)
    found = {f"hsx/{name.removesuffix('.py')}": _FIRMWARE / "hsx" / name for name in listed}
    return {**found, **{name: _STOCK / f"{name}.py" for name in ("board", "stock")}}


def make(folder: Path, mpy_cross: Path) -> None:
    """Completes the folder of one architecture."""
    missing = [name for name in NATIVE if not (folder / name).is_file()]
    if missing:
        sys.exit(f"no {folder / missing[0]}: run 'make natmod'")
    shutil.rmtree(folder / "hsx", ignore_errors=True)
    names = list(NATIVE)
    for name, path in sources().items():
        to = folder / f"{name}.mpy"
        to.parent.mkdir(parents=True, exist_ok=True)
        # -O3: no line numbers and no assertions, which are RAM. -s: no path of this machine.
        subprocess.run([mpy_cross, "-O3", "-s", f"{name}.py", "-o", to, path], check=True)
        names.append(f"{name}.mpy")
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    package = {"version": version, "urls": [[name, name] for name in sorted(names)]}
    (folder / "package.json").write_text(json.dumps(package, indent=1) + "\n")


def main() -> None:
    """All architectures that are there."""
    out = Path(sys.argv[1])
    micropython = Path(os.environ["MICROPYTHON_DIR"])
    for folder in sorted(path.parent for path in out.glob(f"*/{NATIVE[0]}")):
        make(folder, micropython / "mpy-cross/build/mpy-cross")


if __name__ == "__main__":
    main()
