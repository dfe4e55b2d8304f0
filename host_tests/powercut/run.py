# SPDX-License-Identifier: MIT
"""Cuts the power of the store everywhere, on the host and on emulated targets, and reports.

`--case ID` runs one case alone; ids are told in `cuts`, `damage`, `target` and `stm32_target`.
The report goes to stdout for a person and to build/powercut.json for programs.
"""

import argparse
import itertools
import json
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))

from hsxctl.errors import ToolError  # noqa: E402  after the path is set
from powercut import bugs, damage, stm32_target, target  # noqa: E402
from powercut.cuts import Reference, Tally, run_case, run_scenario  # noqa: E402
from powercut.invariant import Broken  # noqa: E402
from powercut.line import Off  # noqa: E402
from powercut.scenarios import SCENARIOS  # noqa: E402
from stm32.emulator import Refused, has_unicorn  # noqa: E402

# This process's, for as long as it lives.
_bench: list[target.Bench] = []
_stm32_bench: list[stm32_target.Stm32Bench] = []

_LOST = (Broken, Off, RuntimeError, TimeoutError, ToolError)
_STM32_LOST = (Broken, OSError, AssertionError, Refused)


def run_damage(randoms: int, part: int = 0, parts: int = 1) -> tuple[int, list[str]]:
    """How many cases of damage there were, and those that broke something, with why. Of `parts`
    parts of all cases only one is tried."""
    media = damage.starts()
    harmed = []
    count = 0
    for case in itertools.islice(damage.cases(randoms), part, None, parts):
        count += 1
        try:
            damage.run_case(case, media)
        except Broken as error:
            harmed.append(f"{case}: {error}")
    return count, harmed


def hunt(bug: str, limit: int, seconds: int, seed: int) -> str | None:
    """The first case that finds a seeded bug, or None."""
    with bugs.seeded(bug):
        for scenario in bugs.order(bug, SCENARIOS):
            tally = run_scenario(scenario, limit, seconds, seed)
            if tally.lost:
                return ": ".join(tally.lost[0])
    return None


def run_one(case: str, firmware: Path) -> None:
    """Runs one case by its id; Broken if the invariant does not hold."""
    name = case.split("/")[0]
    if name == "damage":
        damage.run_case(case, damage.starts())
    elif name == "target":
        with target.Bench(firmware) as bench:
            bench.run_case(case)
    elif name == "stm32":
        with stm32_target.Stm32Bench() as stm32:
            stm32.run_case(case)
    else:
        run_case(Reference(next(s for s in SCENARIOS if s.name == name)), case)


# ---- jobs, each in a process ------------------------------------------------------------------


def _scenario_job(work: tuple[str, int, int, int]) -> tuple[str, Tally, float]:
    name, limit, seconds, seed = work
    start = time.perf_counter()
    scenario = next(s for s in SCENARIOS if s.name == name)
    tally = run_scenario(scenario, limit, seconds, seed)
    return name, tally, time.perf_counter() - start


def _bug_job(work: tuple[str, int]) -> tuple[str, str | None]:
    bug, seed = work
    return bug, hunt(bug, 150, 500, seed)


# Step, kind, how many cases left what, and the lost ones with why.
Cases = tuple[str, str, Counter[str], list[tuple[str, str]]]


def _target_job(work: tuple[Path, str, str, int, int]) -> Cases:
    """Cases of one kind of one step."""
    firmware, name, kind, count, seed = work
    if not _bench:
        _bench.append(target.Bench(firmware))
    bench = _bench[0]
    return name, kind, *_tried(bench.cases(name, kind, count, seed), bench.run_case, _LOST)


def _stm32_job(work: tuple[str, int, int]) -> Cases:
    """Cases of one step on PYBV11."""
    name, count, seed = work
    if not _stm32_bench:
        _stm32_bench.append(stm32_target.Stm32Bench())
    bench = _stm32_bench[0]
    kind = stm32_target.KIND
    return name, kind, *_tried(bench.cases(name, count, seed), bench.run_case, _STM32_LOST)


def _tried(
    cases: Iterable[str], run_case: Callable[[str], str], errors: tuple[type[Exception], ...]
) -> tuple[Counter[str], list[tuple[str, str]]]:
    left: Counter[str] = Counter()
    lost = []
    for case in cases:
        try:
            left[run_case(case)] += 1
        except errors as error:
            left["lost"] += 1
            lost.append((case, str(error)))
    return left, lost


def _all(jobs: int, job: Callable, work: Iterable) -> Iterator[Any]:
    """What the jobs give, as they are done."""
    if jobs == 1:
        yield from map(job, work)
        return
    with multiprocessing.Pool(jobs) as pool:
        yield from pool.imap_unordered(job, work)


# ---- report -----------------------------------------------------------------------------------


class Report:
    """Prints what happened while it happens. `facts` is what build/powercut.json gets."""

    def __init__(self, seed: int) -> None:
        self.facts: dict[str, Any] = {"seed": seed, "lost": 0}

    def lose(self, cases: list[tuple[str, str]]) -> None:
        """Counts cases in which the invariant did not hold, and shows the first of them."""
        self.facts["lost"] += len(cases)
        for case, why in cases[:3]:
            print(f"    LOST {case}: {why}")

    def host(self, results: Iterable[tuple[str, Tally, float]]) -> None:
        """Power cuts and rotten copies at every byte."""
        print(f"host: {'scenario':20}{'cuts':>9}  lost  depth 2          seconds  cuts by kind")
        scenarios = {}
        for name, tally, took in results:
            counted = [*tally.cuts.items(), *tally.faults.items()]
            kinds = " ".join(f"{kind}:{count}" for kind, count in counted)
            depth = "all" if tally.all_second else "sampled"
            counts = f"{tally.total():9}{len(tally.lost):6}  {depth:15}{took:9.0f}"
            print(f"      {name:20}{counts}  {kinds}", flush=True)
            self.lose(tally.lost)
            scenarios[name] = {
                **tally.cuts,
                **tally.faults,
                "total": tally.total(),
                "lost": len(tally.lost),
                "exhaustive": tally.all_first,
                "exhaustive_second": tally.all_second,
                "store_gone": tally.gone,
            }
        cuts = sum(scenario["total"] for scenario in scenarios.values())
        gone = sum(scenario["store_gone"] for scenario in scenarios.values())
        self.facts["host"] = {"cuts": cuts, "store_gone": gone, "scenarios": scenarios}
        faults = sum(s["rot_running"] + s["nack"] + s["absent"] for s in scenarios.values())
        print(f"      {cuts} cuts, {faults} faults without a cut. {gone} double faults hit both")
        print("      superblock copies at once: the node said that there is no store, as it must")

    def damage(self, count: int, harmed: list[str]) -> None:
        """Flipped bits and changed bytes."""
        print(f"damage: {count} cases, {len(harmed)} lost", flush=True)
        self.facts["host"]["damage"] = count
        self.lose([(text, "") for text in harmed])

    def bugs(self, results: Iterable[tuple[str, str | None]]) -> None:
        """Which seeded bug was found, by rule."""
        found = dict(results)
        for rule, names in bugs.by_rule().items():
            for name in names:
                print(f"rule {rule:4}{name:28}{found[name] or 'NOT FOUND'}", flush=True)
        self.facts["seeded_bugs"] = {name: found[name] is not None for name in bugs.NAMES}
        self.facts["found_by"] = found

    def target(self, results: Iterable[Cases]) -> None:
        """Moments on the emulated target."""
        kinds = self._cases("target", results)
        totals = {kind: kinds[kind].total() for kind in target.KINDS}
        self.facts["target"] = {
            "cuts": totals["count"] + totals["kill"],
            "counted": totals["count"],
            "random": totals["kill"],
            "ctrl_c": totals["ctrl_c"],
        }
        print(
            f"        {totals['count']} cuts at counted instructions, {totals['kill']} by SIGKILL,"
        )
        print(
            f"        {totals['ctrl_c']} Ctrl-C. The emulated part takes 32 bytes a transfer and"
        )
        print("        writes its file at the end of each: tears within one are the host's, above")

    def stm32(self, results: Iterable[Cases]) -> None:
        """Cycles in which the FRAM of PYBV11 changes."""
        left = self._cases("stm32", results)[stm32_target.KIND]
        self.facts["stm32"] = {"cuts": left.total(), "before": left["before"]}
        self.facts["stm32"]["after"] = left["after"]
        print(f"        {left.total()} cuts of the firmware of PYBV11 within bytes of its FRAM")

    def no_stm32(self, why: str) -> None:
        """PYBV11 cannot be tried."""
        print(f"stm32: not run: {why}")
        self.facts["stm32"] = {"not_run": why}

    def _cases(self, name: str, results: Iterable[Cases]) -> dict[str, Counter[str]]:
        print(f"{name + ':':8}step                kind      cases  before  after  lost")
        kinds: dict[str, Counter[str]] = {}
        for step, kind, left, lost in results:
            counts = f"{left.total():5}{left['before']:8}{left['after']:7}{left['lost']:6}"
            print(f"        {step:20}{kind:10}{counts}", flush=True)
            self.lose(lost)
            kinds.setdefault(kind, Counter()).update(left)
        return kinds


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--case", help="run one case by its id")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default 1)")
    parser.add_argument("--seed", type=int, default=5, help="of what is sampled (default 5)")
    parser.add_argument("--limit", type=int, default=2000, help="places of one kind")
    parser.add_argument("--second", type=int, default=300_000, help="second cuts, of one kind")
    parser.add_argument("--random", type=int, default=10_000, help="cases of random damage")
    parser.add_argument("--target", type=int, default=312, help="cuts by count, and by SIGKILL")
    parser.add_argument("--ctrl-c", type=int, default=1008, help="Ctrl-C on the target")
    parser.add_argument("--stm32", type=int, default=312, help="cuts on PYBV11, 0: none")
    parser.add_argument("--firmware", type=Path, default=target.FIRMWARE)
    parser.add_argument("--report", type=Path, default=HERE.parents[1] / "build/powercut.json")
    arguments = parser.parse_args(argv)
    if arguments.case:
        try:
            run_one(arguments.case, arguments.firmware)
        except Broken as error:
            print(f"{arguments.case}: {error}")
            return 1
        print(f"{arguments.case}: holds")
        return 0
    jobs, seed = arguments.jobs, arguments.seed
    print(f"seed {seed}; a case alone: run.py --case ID")
    report = Report(seed)
    counts = (arguments.target, arguments.target, arguments.ctrl_c)
    report.target(
        _all(
            jobs,
            _target_job,
            [
                (arguments.firmware, step.name, kind, -(-count // len(target.steps(kind))), seed)
                for kind, count in zip(target.KINDS, counts, strict=True)
                for step in target.steps(kind)
            ],
        )
    )
    if not arguments.stm32:
        report.no_stm32("MICROPYTHON_DIR names no full checkout with lib/stm32lib")
    elif not has_unicorn():
        report.no_stm32("the Python package unicorn is not installed")
    else:
        each = -(-arguments.stm32 // len(target.TARGETS))
        steps = [(step.name, each, seed) for step in target.TARGETS]
        report.stm32(_all(jobs, _stm32_job, steps))
    work = [(s.name, arguments.limit, arguments.second, seed) for s in SCENARIOS]
    report.host(_all(jobs, _scenario_job, work))
    report.damage(*run_damage(arguments.random))
    report.bugs(_all(jobs, _bug_job, [(bug, seed) for bug in bugs.NAMES]))
    arguments.report.parent.mkdir(parents=True, exist_ok=True)
    arguments.report.write_text(json.dumps(report.facts, indent=1) + "\n")
    missed = [bug for bug, caught in report.facts["seeded_bugs"].items() if not caught]
    print(f"{report.facts['lost']} lost, {len(missed)} seeded bugs missed")
    return 1 if report.facts["lost"] or missed else 0


if __name__ == "__main__":
    os.nice(5)
    sys.exit(main())
