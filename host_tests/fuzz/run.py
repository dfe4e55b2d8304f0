# SPDX-License-Identifier: MIT
"""`make fuzz`: everything that searches, for as long as one gives it.

    FUZZ_MINUTES   all of it together, 60
    FUZZ_SEED      for the same run again; without it each run is another
    FUZZ_KEEP      1: what was learned is put into corpus/, to be committed

Two lanes run beside each other: the core in C, and the parsers in Python with an equal share each
(20 of 60 minutes for each of three). Prints a table, writes build/fuzz.json. A finding leaves its
input in build/fuzz/findings, or the command that shows it again, and makes the exit status 1. What
was learned stays in build/fuzz/corpus and is where the next run begins.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from fuzz import seeds
from fuzz.build import CHECKED, FAST, FUZZER, HARNESSES, build
from fuzz.search import TARGETS
from link.can_cases import run_random

ROOT = Path(__file__).resolve().parent.parent.parent
OUT = ROOT / "build" / "fuzz"
FINDINGS = OUT / "findings"
MAX_LENGTH = {"vm": 8 + 4 * 256, "loader": 4096}  # bytes of an input
PROGRAMS = 50_000  # inputs of one call of the random driver
EXAMPLES = 200  # of each property, in one call of pytest
MODEL_PROGRAMS = 4_000  # of the model in Python, in one call
MODEL_STATES = 100_000
TRANSFERS = 100  # in one call


class Count(NamedTuple):
    """What one part did."""

    executions: int
    steps: int  # instructions that ran; 0: not counted
    finding: str  # how to see it again; empty: none


Part = Callable[[float, int], Count]  # takes seconds and seed


def environment(**more: str) -> dict[str, str]:
    sanitizers = {"ASAN_OPTIONS": "quarantine_size_mb=16", "UBSAN_OPTIONS": "print_stacktrace=1"}
    return {**os.environ, **sanitizers, **more}


def log_of(name: str, text: str) -> Path:
    path = OUT / f"{name}.log"
    path.write_text(text)
    return path


def libfuzzer(harness: str) -> Part:
    """Coverage-guided, under both sanitizers of clang."""

    def part(seconds: float, seed: int) -> Count:
        program = build(harness, "", OUT / f"fuzz_{harness}", "clang", FUZZER)
        golden = OUT / "golden" / harness
        learned = OUT / "corpus" / harness
        seeds.write(harness, golden)
        learned.mkdir(parents=True, exist_ok=True)
        command = [str(program), f"-max_total_time={max(1, int(seconds))}", f"-seed={seed}"]
        command += [f"-max_len={MAX_LENGTH[harness]}", f"-artifact_prefix={FINDINGS}/{harness}-"]
        command += ["-print_final_stats=1", "-use_value_profile=1", "-timeout=10"]
        command += [str(learned), str(golden), str(seeds.HERE / "regressions" / harness)]
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment(), check=False
        )
        log = log_of(harness, done.stderr)
        counted = re.search(r"stat::number_of_executed_units:\s*(\d+)", done.stderr)
        executions = int(counted.group(1)) if counted else 0
        return Count(executions, 0, "" if done.returncode == 0 else f"see {log}")

    return part


def keep_learned(harness: str) -> None:
    """Of all inputs, the few that reach as far as all of them."""
    with tempfile.TemporaryDirectory() as fewest:
        command = [str(OUT / f"fuzz_{harness}"), "-merge=1", "-max_len=256", fewest]
        folders = [OUT / "golden" / harness, OUT / "corpus" / harness]
        subprocess.run(
            [*command, *map(str, folders)], capture_output=True, env=environment(), check=True
        )
        print(f"{harness}: {seeds.keep(harness, Path(fewest))} inputs kept")


def repeat(call: "Callable[[int], Count]", seconds: float) -> Count:
    """Calls with 0, 1, 2 .. until the time is used up or something was found."""
    end = time.monotonic() + seconds
    executions = steps = number = 0
    while True:
        count = call(number)
        executions += count.executions
        steps += count.steps
        number += 1
        if count.finding or time.monotonic() >= end:
            return Count(executions, steps, count.finding)


def random_inputs(name: str, mode: str, flags: tuple) -> Part:
    """Random programs or states, without coverage and many times faster."""

    def part(seconds: float, seed: int) -> Count:
        program = build("vm", "random", OUT / name, "gcc", flags)

        def call(number: int) -> Count:
            command = [str(program), mode, str((seed + number) & 0xFFFFFFFF), str(PROGRAMS)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                log = log_of(name, " ".join(command) + "\n" + done.stderr)
                return Count(0, 0, f"{' '.join(command)} (see {log})")
            said = json.loads(done.stdout)
            return Count(said["inputs"], said["steps"], "")

        return repeat(call, seconds)

    return part


def pytest(name: str, arguments: list, **env: str) -> "tuple[str, str]":
    """What pytest printed, and where to look if it failed."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout=0"]
    done = subprocess.run(
        [*command, *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment(**env),
        check=False,
    )
    log = log_of(name, done.stdout + done.stderr)
    return done.stdout, "" if done.returncode == 0 else f"see {log}"


def properties(seconds: float, seed: int) -> Count:
    """Every property of every parser, with other examples each time."""

    def call(number: int) -> Count:
        text, finding = pytest(
            "properties",
            [
                "-m",
                "hypothesis and not target and not sim",
                "--hypothesis-show-statistics",
                f"--hypothesis-seed={seed + number}",
            ],
            HYPOTHESIS_PROFILE="fuzz",
            HSX_FUZZ_EXAMPLES=str(EXAMPLES),
        )
        counted = re.findall(r"(\d+) passing, (\d+) failing", text)
        return Count(sum(int(passing) + int(failing) for passing, failing in counted), 0, finding)

    return repeat(call, seconds)


def slow_model(seconds: float, seed: int) -> Count:
    """The model in Python: random programs, and single steps from random states."""

    def call(number: int) -> Count:
        _, finding = pytest(
            "slow_model",
            ["host_tests/native/test_differential.py", "host_tests/native/test_single_steps.py"],
            HSX_FUZZ_PROGRAMS=str(MODEL_PROGRAMS),
            HSX_FUZZ_STATES=str(MODEL_STATES),
            HSX_FUZZ_SEED=str((seed + number) << 32),
        )
        return Count(MODEL_PROGRAMS + MODEL_STATES, 0, finding)

    return repeat(call, seconds)


def python(name: str) -> Part:
    """Mutations through a parser in Python and what uses its result, led by the lines reached."""

    def part(seconds: float, seed: int) -> Count:
        command = [sys.executable, "-m", "fuzz.search", name, f"--seconds={seconds}"]
        command += [f"--seed={seed}", f"--learned={OUT / 'corpus' / name}"]
        command += [f"--findings={FINDINGS}"]
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment(), check=False
        )
        log = log_of(name, done.stdout + done.stderr)
        if done.returncode not in (0, 1) or not done.stdout:
            return Count(0, 0, f"see {log}")
        said = json.loads(done.stdout)
        return Count(said["executions"], 0, said["finding"])

    return part


def can_transfers(seconds: float, seed: int) -> Count:
    """Transfers over CAN with faults of every kind: right, or a clear error and a retry."""

    def call(number: int) -> Count:
        try:
            run_random((seed + number) * TRANSFERS, TRANSFERS)
        except AssertionError as error:
            log = log_of("can_transfers", str(error))
            return Count(TRANSFERS, 0, f"{error.args[0]} of link.can_cases.run_random (see {log})")
        return Count(TRANSFERS, 0, "")

    return repeat(call, seconds)


# Name, what it does, its share of the time of its lane.
CORE: "list[tuple[str, Part, float]]" = [
    ("loader", libfuzzer("loader"), 0.23),
    ("vm", libfuzzer("vm"), 0.22),
    ("programs", random_inputs("programs", "programs", FAST), 0.12),
    (
        "programs_switch",
        random_inputs("programs_switch", "programs", (*FAST, "-DHSX_SWITCH")),
        0.04,
    ),
    ("programs_checked", random_inputs("programs_checked", "programs", CHECKED), 0.04),
    ("states", random_inputs("states", "states", FAST), 0.05),
    ("slow_model", slow_model, 0.10),
    ("properties", properties, 0.15),
    ("can_transfers", can_transfers, 0.05),
]
PARSERS = [(name, python(name), 1 / len(TARGETS)) for name in TARGETS]


def main() -> int:
    minutes = float(os.environ.get("FUZZ_MINUTES", "60"))
    seed = int(os.environ.get("FUZZ_SEED", "0")) or int(time.time()) & 0xFFFFFF
    FINDINGS.mkdir(parents=True, exist_ok=True)
    print(f"{minutes:g} minutes in all, FUZZ_SEED={seed}")
    print(f"{'harness':<18}{'executions':>14}{'instructions':>16}{'seconds':>10}  finding")
    record: dict = {"minutes": minutes, "seed": seed, "harness": {}}

    def lane(parts: "list[tuple[str, Part, float]]") -> None:
        for name, part, share in parts:
            begin = time.monotonic()
            count = part(minutes * 60 * share, seed)
            seconds = time.monotonic() - begin
            steps = f"{count.steps:,}" if count.steps else "-"
            finding = count.finding or "none"
            print(
                f"{name:<18}{count.executions:>14,}{steps:>16}{seconds:>10.0f}  {finding}",
                flush=True,
            )
            record["harness"][name] = {
                "executions": count.executions,
                "steps": count.steps,
                "seconds": round(seconds, 1),
                "finding": count.finding,
            }

    with ThreadPoolExecutor() as lanes:
        list(lanes.map(lane, (CORE, PARSERS)))
    record["executions"] = sum(part["executions"] for part in record["harness"].values())
    record["findings"] = sum(1 for part in record["harness"].values() if part["finding"])
    (ROOT / "build" / "fuzz.json").write_text(json.dumps(record, indent=1) + "\n")
    if os.environ.get("FUZZ_KEEP") == "1":
        for harness in HARNESSES:
            keep_learned(harness)
        for name in TARGETS:
            print(f"{name}: {seeds.keep(name, OUT / 'corpus' / name)} inputs kept")
    print(f"{record['executions']:,} executions, {record['findings']} findings: build/fuzz.json")
    return 1 if record["findings"] else 0


if __name__ == "__main__":
    sys.exit(main())
