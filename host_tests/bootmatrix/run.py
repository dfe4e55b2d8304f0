# SPDX-License-Identifier: MIT
"""`make bootmatrix`: every case of the table, and each once more with the power cut at counted
moments of its boot, into build/bootmatrix.json.

`--case bank/card/bus[/ticks]` runs one alone.
"""

import argparse
import json
import multiprocessing
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))

from bootmatrix import table  # noqa: E402  after the path is set
from bootmatrix.bench import Bench  # noqa: E402

FIRMWARE = Path("build/qemu_m4/firmware.elf")
RESULT = Path("build/bootmatrix.json")
CUTS = 5  # of each boot

_bench: list[Bench] = []  # this process's, for as long as it lives


def moments(case: tuple[str, str, str], took: int, count: int = CUTS) -> list[int]:
    """Ticks at which a boot of `took` ticks is cut: one in each part of it, the same each time."""
    chance = random.Random("/".join(case))
    return [took * part // count + chance.randrange(took // count) for part in range(count)]


def run_case(case: tuple[str, str, str], cuts: int = CUTS) -> list[dict[str, Any]]:
    """The rows of a case: uncut, then its cuts."""
    bench = _bench[0]
    wanted = table.expected()[case]
    rows: list[dict[str, Any]] = []
    took = 0
    for ticks in (0, *range(cuts)):
        try:
            if not rows:
                got, took = bench.boot(*case)
            else:
                ticks = moments(case, took)[ticks]
                got = bench.cut(*case, max(1, ticks))
        except Exception as error:  # noqa: BLE001  what is lost is told, and the others go on
            got = f"lost: {error!r}"
        row = {"bank": case[0], "sd": case[1], "can": case[2], "expected": wanted, "got": got}
        rows.append({**row, "ok": got == wanted, **({"ticks": ticks} if rows else {})})
        if not took:
            break
    return rows


def _start(firmware: Path) -> None:
    _bench.append(Bench(firmware))


def all_rows(firmware: Path, jobs: int, cuts: int) -> Iterator[list[dict[str, Any]]]:
    """Those of all cases, as they come."""
    if jobs == 1:
        _start(firmware)
        yield from (run_case(case, cuts) for case in table.cases())
        return
    with multiprocessing.get_context("spawn").Pool(jobs, _start, (firmware,)) as pool:
        yield from pool.imap_unordered(_With(cuts), table.cases())


class _With:
    def __init__(self, cuts: int) -> None:
        self._cuts = cuts

    def __call__(self, case: tuple[str, str, str]) -> list[dict[str, Any]]:
        return run_case(case, self._cuts)


def main() -> int:
    """Runs, writes and prints; 1 if anything is not as the table says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--firmware", type=Path, default=FIRMWARE)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--cuts", type=int, default=CUTS)
    parser.add_argument("--case")
    options = parser.parse_args()
    if options.case:
        bank, card, bus, *ticks = options.case.split("/")
        with Bench(options.firmware) as bench:
            got = (
                bench.cut(bank, card, bus, int(ticks[0])) if ticks else bench.boot(bank, card, bus)
            )
        print(got)
        return 0
    began = time.monotonic()
    cases, cut = [], []
    for rows in all_rows(options.firmware, options.jobs, options.cuts):
        cases.append(rows[0])
        cut += rows[1:]
        for row in rows:
            if not row["ok"]:
                print(row)
    bad = sum(not row["ok"] for row in cases + cut)
    found = {"cases": cases, "cuts": cut, "bad": bad, "seconds": round(time.monotonic() - began)}
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(found, indent=1) + "\n")
    print(f"{len(cases)} boots, {len(cut)} cuts, {bad} not as the table says: {RESULT}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
