# SPDX-License-Identifier: MIT
"""A short run of every harness, the same each time, and all inputs that once mattered.

`make fuzz` is the long run.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from fuzz import seeds
from fuzz.build import CHECKED, FAST, FUZZER, HARNESSES, HERE, build, missing

RUNS = 20_000
STATES = 14_000  # inputs of some seventy steps each
PROGRAMS = 50_000

each_harness = pytest.mark.parametrize("harness", HARNESSES)


def run(command: list) -> str:
    """What a program prints; fails with what it said, if it is stopped."""
    env = {**os.environ, "ASAN_OPTIONS": "quarantine_size_mb=16"}
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-4000:]
    return done.stdout + done.stderr


def need(compiler: str) -> None:
    if missing(compiler):
        pytest.skip(missing(compiler))


def kept(harness: str, folder: Path) -> list:
    """Files of all inputs that are the same in each run: golden ones, and regressions."""
    seeds.write(harness, folder)
    found = [*sorted(folder.iterdir()), *sorted((HERE / "regressions" / harness).iterdir())]
    assert len(found) > 10
    return found


@pytest.mark.sharded
@each_harness
def test_libfuzzer_finds_nothing_in_a_short_run(harness, tmp_path):
    need("clang")
    program = build(harness, "", tmp_path / "fuzz", "clang", FUZZER)
    kept(harness, tmp_path / "golden")
    (tmp_path / "learned").mkdir()
    folders = [tmp_path / "learned", tmp_path / "golden", HERE / "regressions" / harness]
    options = [f"-runs={RUNS}", "-seed=1", "-max_len=1024", "-timeout=10"]
    said = run([program, *options, f"-artifact_prefix={tmp_path}/", *folders])
    assert f"Done {RUNS} runs" in said


@pytest.mark.sharded
@each_harness
@pytest.mark.parametrize("dispatch", ["", "-DHSX_SWITCH"], ids=["goto", "switch"])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_golden_inputs_and_regressions_replay(harness, compiler, dispatch, tmp_path):
    need(compiler)
    flags = (*CHECKED, dispatch) if dispatch else CHECKED
    program = build(harness, "replay", tmp_path / "replay", compiler, flags)
    inputs = kept(harness, tmp_path / "golden")
    assert run([program, *inputs]).count("\n") == len(inputs)


def test_a_million_single_steps_from_random_states_agree_with_the_model(tmp_path):
    program = build("vm", "random", tmp_path / "random", flags=FAST)
    ran = json.loads(run([program, "states", 1, STATES]))
    assert ran["steps"] >= 1_000_000
    assert min(ran["ops"].values()) > 1_000  # each opcode, and illegal ones


@pytest.mark.sharded
@pytest.mark.parametrize("dispatch", ["goto", "switch"])
def test_random_programs_with_long_budgets_agree_with_the_model(dispatch, tmp_path):
    flags = (*FAST, "-DHSX_SWITCH") if dispatch == "switch" else FAST
    program = build("vm", "random", tmp_path / "random", flags=flags)
    ran = json.loads(run([program, "programs", 1, PROGRAMS]))
    assert ran["steps"] > 20 * PROGRAMS  # they do run
    assert min(ran["ops"].values()) > 1_000
