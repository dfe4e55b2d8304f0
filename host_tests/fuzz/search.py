# SPDX-License-Identifier: MIT
"""Mutations of kept inputs through code in Python, led by the lines that they reach.

A target is a module `fuzz_<name>.py` with

    seeds() -> list[bytes]      inputs to begin with
    make(random) -> bytes       an input that is mostly good
    run(data) -> str            what became of an input, in a word; whatever it raises is a finding
    WATCHED                     modules of the package whose lines lead the search
    WORDS                       bytes that are worth putting in

and its name in TARGETS.

    python -m fuzz.search NAME FILE...                      runs inputs again
    python -m fuzz.search NAME --seconds N [--seed N]       searches; prints a line of JSON
"""

import argparse
import hashlib
import importlib
import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import CodeType, FrameType
from typing import Any

from fuzz import seeds

PACKAGE = Path(__file__).resolve().parents[2] / "firmware" / "hsx"
TARGETS = ("requests", "manifest", "metadata")

LONGEST = 20.0  # seconds of the processor that an input may take
MADE = 0.2  # of the inputs are made anew, half of these mutated
TRACED = 10  # one of so many inputs is watched: that makes it up to ten times slower
EDGES = (0, 1, 2, 0x10, 0x7F, 0x80, 0xFE, 0xFF)

Reached = set[tuple[CodeType, int, int]]  # code, line, how often as a power of two


def target(name: str) -> Any:
    return importlib.import_module(f"fuzz.fuzz_{name}")


def watched(call: Callable[[], str], files: set[str]) -> tuple[str, Reached]:
    """What a call returns, and the lines of `files` that it reached."""
    counts: Counter = Counter()

    def line(frame: FrameType, event: str, _: object) -> Any:
        counts[frame.f_code, frame.f_lineno] += 1
        return line

    def enter(frame: FrameType, event: str, _: object) -> Any:
        return line if frame.f_code.co_filename in files else None

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        outcome = call()
    finally:
        sys.settrace(before)
    return outcome, {(code, at, n.bit_length()) for (code, at), n in counts.items()}


def mutated(random: Random, pool: list[bytes], words: tuple[bytes, ...]) -> bytes:
    """One input made of one or two others."""
    # The newest are where the search has just come to.
    recent = pool[-16:] if random.random() < 0.4 else pool
    raw = bytearray(random.choice(recent))
    for _ in range(random.choice((1, 1, 2, 3, 5, 8))):
        at = random.randrange(len(raw) + 1)
        kind = random.randrange(9)
        if kind == 0 and at < len(raw):
            raw[at] ^= 1 << random.randrange(8)
        elif kind == 1 and at < len(raw):
            raw[at] = random.choice(EDGES)
        elif kind == 2 and at < len(raw):
            raw[at] = random.randrange(256)
        elif kind == 3:
            raw[at:at] = random.randbytes(random.randint(1, 4))
        elif kind == 4:
            del raw[at : at + random.randint(1, 8)]
        elif kind == 5:
            size = random.randint(1, 16)
            raw[at:at] = raw[at : at + size]
        elif kind == 6:
            other = random.choice(pool)
            start = random.randrange(len(other) + 1)
            part = other[start : start + random.randint(1, 40)]
            raw[at : at + random.choice((0, len(part)))] = part
        elif kind == 7 and words:
            word = random.choice(words)
            raw[at : at + random.choice((0, len(word)))] = word
        else:
            size = random.choice((2, 4))
            order: Any = random.choice(("big", "little"))
            raw[at : at + size] = random.randrange(1 << 8).to_bytes(size, order)
    return bytes(raw)


def _too_long(number: int, frame: object) -> None:
    raise TimeoutError("an input took too long")


class Finding(Exception):
    """An input that does what none may. `data`: the input; the cause says what."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.data = data


class Search:
    """A search of one target, the same for the same seed; `learned`: where inputs that reach
    further are kept, and taken from."""

    def __init__(self, name: str, seed: int, learned: Path | None = None) -> None:
        signal.signal(signal.SIGVTALRM, _too_long)
        module = target(name)
        self._run = module.run
        self._make = module.make
        self._words = module.WORDS
        self._files = {str(PACKAGE / f"{path}.py") for path in module.WATCHED}
        self._random = Random(seed)
        self._learned = learned
        self.pool: list[bytes] = []
        self.reached: Reached = set()
        self.outcomes: Counter = Counter()
        known = seeds.of_python(name)
        if learned is not None:
            learned.mkdir(parents=True, exist_ok=True)
            known += [path.read_bytes() for path in sorted(learned.iterdir())]
        for data in known:
            self.try_(data, True)
        self.pool = self.pool or [b""]

    def try_(self, data: bytes, trace: bool) -> None:
        """Runs an input; keeps it if it reaches what none before did. Raises Finding."""
        signal.setitimer(signal.ITIMER_VIRTUAL, LONGEST)
        try:
            if not trace:
                self.outcomes[self._run(data)] += 1
                return
            outcome, reached = watched(lambda: self._run(data), self._files)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            raise Finding(data) from error
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        self.outcomes[outcome] += 1
        if not reached <= self.reached:
            self.reached |= reached
            self.pool.append(data)
            if self._learned is not None:
                (self._learned / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)

    def step(self) -> None:
        """One more input."""
        random = self._random
        data = self._make(random) if random.random() < MADE else b""
        if not data or random.random() < 0.5:
            data = mutated(random, [data] if data else self.pool, self._words)
        self.try_(data, sum(self.outcomes.values()) % TRACED == 0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=TARGETS)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--learned", type=Path)
    parser.add_argument("--findings", type=Path, default=Path("."))
    arguments = parser.parse_args()
    for path in arguments.files:
        print(path, target(arguments.name).run(path.read_bytes()))
    if arguments.files:
        return 0
    end = time.monotonic() + arguments.seconds
    search = None
    finding = ""
    try:
        search = Search(arguments.name, arguments.seed, arguments.learned)
        while time.monotonic() < end:
            search.step()
    except Finding as found:
        digest = hashlib.sha256(found.data).hexdigest()[:16]
        path = arguments.findings / f"{arguments.name}-{digest}"
        path.write_bytes(found.data)
        finding = f"python -m fuzz.search {arguments.name} {path}: {found.__cause__!r}"
    said = {"executions": 0, "kept": 0, "outcomes": {}, "finding": finding}
    if search is not None:
        said["executions"] = sum(search.outcomes.values())
        said["kept"] = len(search.pool)
        said["outcomes"] = dict(search.outcomes.most_common())
    print(json.dumps(said))
    return 1 if finding else 0


if __name__ == "__main__":
    sys.exit(main())
