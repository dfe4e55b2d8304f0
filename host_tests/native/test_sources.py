# SPDX-License-Identifier: MIT
"""What compilers can say about the core: no warning anywhere, nothing that it must not need."""

import re
import runpy
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
NATIVE = ROOT / "firmware" / "native"
SOURCES = sorted(NATIVE.glob("*.c"))
MONOCYPHER = runpy.run_path(str(NATIVE / "bindings/cffi_build.py"))["_MONOCYPHER"]
WARNINGS = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wundef", "-Werror"]
M4F = ["-mthumb", "-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"]
COMPILERS = {
    "gcc": ["gcc"],
    "gcc portable": ["gcc", "-DHSX_SWITCH"],
    "clang": ["clang"],
    "cortex-m0": ["arm-none-eabi-gcc", "-mthumb", "-mcpu=cortex-m0"],
    "cortex-m4": ["arm-none-eabi-gcc", "-mthumb", "-mcpu=cortex-m4"],
    "cortex-m4f": ["arm-none-eabi-gcc", *M4F],
}


def compiled(command: list, source: Path, out: Path) -> Path:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed: make setup brings it")
    done = subprocess.run(
        [*command, *WARNINGS, "-isystem", MONOCYPHER, "-c", "-o", str(out), str(source)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return out


@pytest.mark.parametrize("optimise", ["-O0", "-O2", "-Os"])
@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_a_source_compiles_without_a_warning(compiler, optimise, source, tmp_path):
    compiled([*COMPILERS[compiler], optimise], source, tmp_path / "out.o")


@pytest.mark.requirement("P-3")
@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_a_source_has_no_variables_and_needs_only_memory_functions(source, tmp_path):
    out = compiled([*COMPILERS["cortex-m4f"], "-Os"], source, tmp_path / "out.o")
    size = subprocess.run(["arm-none-eabi-size", out], capture_output=True, text=True, check=True)
    _, data, bss = size.stdout.splitlines()[1].split()[:3]
    assert (data, bss) == ("0", "0")
    names = subprocess.run(
        ["arm-none-eabi-nm", "-u", out], capture_output=True, text=True, check=True
    )
    needed = set(re.findall(r"U (\w+)", names.stdout))
    if source.name == "ed25519.c":
        needed -= {"crypto_eddsa_reduce", "crypto_eddsa_check_equation"}
    assert {name for name in needed if not name.startswith("hsx_")} <= {
        "memcpy",
        "memmove",
        "memset",
        "memcmp",
    }


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_floating_point_stays_in_its_file(source):
    uses = re.search(r"\b(float|double)\b", source.read_text())
    assert (uses is not None) == (source.name == "float16.c")
