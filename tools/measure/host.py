# SPDX-License-Identifier: MIT
"""The core's speed on the host, against the plain interpreter that is kept here."""

import contextlib
import importlib.util
import os
import statistics
import sys
from pathlib import Path
from types import ModuleType

from cffi import FFI

from hsx.image import header
from measure.node import GOLDEN, HERE, mix
from measure.record import Figures

PROJECT = HERE.parents[1]
NATIVE = PROJECT / "firmware/native"
LOOP = "bench_loop"
LOOP_ROUNDS = 41
MIX_ROUNDS = 201  # its programs are short
_CDEF = """
    typedef struct { uint64_t ours_ns; uint64_t plain_ns; uint32_t steps; } race_t;
    int race(const uint8_t *image, size_t len, size_t body, uint32_t entry, uint32_t cap,
             race_t *result);
    """


def _core_build() -> ModuleType:
    """What builds the core for CPython: sources and flags are its own."""
    path = NATIVE / "bindings/cffi_build.py"
    spec = importlib.util.spec_from_file_location("cffi_build", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def build(folder: Path) -> ModuleType:
    """Both interpreters in one module, compiled with the flags of `hsxvm._core`."""
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.redirect_stdout(sys.stderr):
        core = _core_build().ffibuilder.distutils_extension(str(folder))
    builder = FFI()
    builder.cdef(_CDEF)
    builder.set_source(
        "host_race_module",
        '#include "host_race.h"',
        sources=[
            *map(os.path.abspath, core.sources[1:]),  # the first is the binding's own
            str(HERE / "plain_vm.c"),
            str(HERE / "host_race.c"),
        ],
        include_dirs=[*map(os.path.abspath, core.include_dirs), str(HERE)],
        depends=[*map(os.path.abspath, core.depends), *map(str, HERE.glob("*.h"))],
        extra_compile_args=core.extra_compile_args,
    )
    with contextlib.redirect_stdout(sys.stderr):  # the compiler's talk is no result
        built = Path(builder.compile(tmpdir=str(folder)))
    spec = importlib.util.spec_from_file_location("host_race_module", built)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["host_race_module"] = module
    spec.loader.exec_module(module)
    return module


def race(module: ModuleType, name: str, cap: int, rounds: int) -> tuple[float, float]:
    """Nanoseconds per instruction of the core and of the plain interpreter: medians of rounds
    that take turns, so that what slows the machine down slows down both."""
    image = (GOLDEN / f"{name}.hxe").read_bytes()
    head = header.parse(memoryview(image))
    result = module.ffi.new("race_t *")
    ours, plain = [], []
    for _ in range(rounds):
        wrong = module.lib.race(image, len(image), head.size, head.entry, cap, result)
        if wrong:
            raise RuntimeError(f"{name}: {'refused' if wrong == 1 else 'results differ'}")
        ours.append(result.ours_ns / result.steps)
        plain.append(result.plain_ns / result.steps)
    return statistics.median(ours), statistics.median(plain)


def time(folder: Path) -> Figures:
    """The figures of the VM on the host. The mix weighs each of its programs the same."""
    module = build(folder)
    ours, plain = race(module, LOOP, mix()[LOOP]["step_cap"], LOOP_ROUNDS)
    raced = [
        race(module, name, case["step_cap"], LOOP_ROUNDS if name == LOOP else MIX_ROUNDS)
        for name, case in mix().items()
    ]
    figures: Figures = {
        "vm.host_mips": 1000 / ours,
        "vm.host_vs_plain": plain / ours,
        "vm.host_vs_plain_mix": sum(p for _, p in raced) / sum(o for o, _ in raced),
    }
    return {name: round(value, 3) for name, value in figures.items()}
