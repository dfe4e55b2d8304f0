# SPDX-License-Identifier: MIT
"""How the harnesses are built: which sources, which compiler, which sanitizers."""

import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
NATIVE = HERE.parent.parent / "firmware" / "native"
CORE = ("cobs.c", "crc32.c", "float16.c", "frame_ring.c", "loader.c", "slcan.c", "task.c", "vm.c")
HARNESSES = ("vm", "loader")
WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wundef", "-Werror")
SANITIZE = ("-g", "-O1", "-fno-omit-frame-pointer", "-fno-sanitize-recover=all")
CHECKED = (*SANITIZE, "-fsanitize=address,undefined")
FUZZER = (*SANITIZE, "-fsanitize=fuzzer,address,undefined")
FAST = ("-O2",)


def missing(compiler: str) -> str:
    """Why tests with this compiler are skipped; empty: it is there."""
    return "" if shutil.which(compiler) else f"{compiler} is not installed: make setup brings it"


def build(
    harness: str,
    driver: str,
    out: Path,
    compiler: str = "gcc",
    flags: tuple = CHECKED,
    native: Path = NATIVE,
) -> Path:
    """A program: the harness, what drives it ("" for libFuzzer), the core in `native`.

    Raises RuntimeError with what the compiler said."""
    files = [HERE / f"fuzz_{harness}.c", HERE / "guarded.c", HERE / "model.c"]
    files += [HERE / f"{driver}.c"] if driver else []
    files += [native / name for name in CORE]
    out.parent.mkdir(parents=True, exist_ok=True)
    command = [compiler, *WARNINGS, *flags, f"-I{native}", f"-I{HERE}", *map(str, files)]
    done = subprocess.run(
        [*command, "-lm", "-o", str(out)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return out
