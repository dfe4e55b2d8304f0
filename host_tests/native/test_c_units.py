# SPDX-License-Identifier: MIT
"""The C unit tests (c/), under the address and undefined-behaviour sanitizers of two compilers."""

import subprocess
from pathlib import Path

import pytest

from fuzz.build import CHECKED, CORE, HERE, NATIVE, WARNINGS, missing

UNITS = sorted((Path(__file__).parent / "c").glob("*.c"))


@pytest.mark.sharded
@pytest.mark.parametrize("dispatch", ["goto", "switch"])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_the_c_unit_tests_pass_under_sanitizers(compiler, dispatch, tmp_path):
    if missing(compiler):
        pytest.skip(missing(compiler))
    program = tmp_path / "units"
    flags = [*CHECKED, *(["-DHSX_SWITCH"] if dispatch == "switch" else [])]
    includes = [f"-I{folder}" for folder in (NATIVE, HERE, UNITS[0].parent)]
    files = [str(path) for path in (*UNITS, *(NATIVE / name for name in CORE))]
    built = subprocess.run(
        [compiler, *WARNINGS, *flags, *includes, *files, "-o", str(program)],
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    done = subprocess.run([str(program)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-200:] + done.stderr[-4000:]
    written = sum(path.read_text().count("RUN(") for path in UNITS)
    assert done.stdout.count("\n") == written > 50
