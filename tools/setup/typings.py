# SPDX-License-Identifier: MIT
"""Links MicroPython's type stubs into a folder of their own, for mypy alone.

They install beside everything else in site-packages, where mypy would take real packages
(`typing_extensions`) for a part of them. Usage: typings.py FOLDER
"""

import shutil
import sys
from importlib.metadata import files
from pathlib import Path

_STUBS = ("micropython-stm32-stubs", "micropython-stdlib-stubs")


def main(folder: Path) -> None:
    """Makes `folder` anew from what the stub distributions have installed."""
    shutil.rmtree(folder, ignore_errors=True)
    for distribution in _STUBS:
        for file in files(distribution) or []:
            if file.suffix == ".pyi" or file.name == "VERSIONS":
                target = folder / file
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(Path(str(file.locate())))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
