# SPDX-License-Identifier: MIT
"""The tests of the core once more on other builds of it: the portable interpreter, and both
interpreters under the address and undefined-behaviour sanitizers of gcc and clang.

A sanitizer ends the process, so each build has one of its own.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import hsxvm

BINDINGS = Path(hsxvm.__file__).parent
NATIVE = BINDINGS.parent
HERE = Path(__file__).parent
TESTS = [
    "test_loader.py",
    "test_tasks.py",
    "test_clock.py",
    "test_differential.py",
    "test_ed25519.py",
]
SANITIZE = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
BUILDS = {
    "portable": ("gcc", ["-O2", "-DHSX_SWITCH"]),
    "gcc sanitized": ("gcc", SANITIZE),
    "gcc portable sanitized": ("gcc", [*SANITIZE, "-DHSX_SWITCH"]),
    "clang sanitized": ("clang", [*SANITIZE, "-shared-libasan"]),
}

BUILD = """
import runpy, sys
module = runpy.run_path(sys.argv[1])
builder = module["_builder"](module["_NATIVE"], module["_MONOCYPHER"])
builder._assigned_source[3]["extra_compile_args"] = sys.argv[3:]
builder._assigned_source[3]["extra_link_args"] = sys.argv[3:]
builder.compile(tmpdir=sys.argv[2])
"""


def build_package(compiler: str, flags: list, where: Path) -> None:
    """A package `hsxvm` in `where` with the core built in this way."""
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(BINDINGS / "cffi_build.py"), str(where), *flags],
        env={**os.environ, "CC": compiler, "LDSHARED": f"{compiler} -shared", "CFLAGS": "-w"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    for name in ("__init__.py", "cpython.py"):
        shutil.copy(BINDINGS / name, where / "hsxvm" / name)


def runtime_of(compiler: str) -> str:
    """The sanitizer's library, which must be there before Python itself is."""
    name = "libasan.so" if compiler == "gcc" else "libclang_rt.asan-x86_64.so"
    found = subprocess.run([compiler, f"-print-file-name={name}"], capture_output=True, text=True)
    return found.stdout.strip()


@pytest.mark.sharded
@pytest.mark.parametrize("build", BUILDS)
def test_the_core_passes_its_tests_when_built_otherwise(build, tmp_path):
    compiler, flags = BUILDS[build]
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed: make setup brings it")
    build_package(compiler, flags, tmp_path)
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "HSX_FUZZ_PROGRAMS": "1500"}
    if "sanitized" in build:
        env["LD_PRELOAD"] = runtime_of(compiler)
        env["ASAN_OPTIONS"] = "detect_leaks=0"
        env["PYTHONMALLOC"] = "malloc"  # so that a pool ends where it ends
    where = subprocess.run(
        [sys.executable, "-c", "import hsxvm; print(hsxvm.__file__)"],
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert where.stdout.startswith(str(tmp_path))  # it is this build that is tested
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
        + [str(HERE / name) for name in TESTS],
        env=env,
        capture_output=True,
        text=True,
        cwd=NATIVE.parent.parent,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
