# SPDX-License-Identifier: MIT
"""A node's store and what a node does with it."""

import binascii
import hashlib
from collections.abc import Generator
from typing import TypeVar

from hsx.store.bank import Image
from hsx.store.layout import Layout
from hsx.store.region import Region
from hsx.store.store import Store

Result = TypeVar("Result")

ATTEMPTS = 3
KEY = b"trusted1"

# Sets by name: epoch, and the bytes of their images; the names of these, where they matter.
# Filled by who uses them.
SETS: dict[str, tuple[int, list[bytes]]] = {}
NAMES: dict[str, list[str]] = {}


def images(name: str) -> list[Image]:
    """The directory entries of a set, made anew."""
    epoch, parts = SETS[name]
    names = NAMES.get(name, [f"{name}{number}" for number in range(len(parts))])
    found = []
    for number, data in enumerate(parts):
        sha = hashlib.sha256(data).digest()
        image = Image(names[number], len(data), binascii.crc32(data), sha)
        image.epoch = epoch
        found.append(image)
    return found


def finish(steps: Generator[None, None, Result]) -> Result:
    """Takes all steps of a piece of work; what it returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def boot(store: Store, hard: bool) -> int:
    """What the boot path does with an open store, the images being read and not run. The bank that
    boots."""
    commit = store.commit
    return finish(commit.run(commit.choose(hard), lambda reader: reader.check_all(False)))


class World:
    """A node's store that is running on `part`."""

    def __init__(self, part: Region, layout: Layout | None = None) -> None:
        self.part = part
        self.layout = layout
        self.tries: dict[str, int] = {}  # how often a set on trial was started by a hard reset
        self.store = self._store()
        self.store.open()

    def _store(self) -> Store:
        return Store(self.part, attempts=ATTEMPTS, layout=self.layout)

    def reset(self, hard: bool = True) -> int:
        """A reset: what is in RAM is gone. The bank that boots."""
        self.store = self._store()
        return boot(self.store, hard) if self.store.open() else 0

    def crash(self) -> None:
        """A hard reset, after which the set that boots at once resets the node again."""
        bank = self.reset()
        state = self.store.superblocks.state
        if bank and state.states[bank - 1] == 1:
            name = str(state.open)
            self.tries[name] = self.tries.get(name, 0) + 1
            assert self.tries[name] <= ATTEMPTS, "a trial set started more often than allowed"

    def stage(self, name: str, part: float = 1.0, size: int = 37) -> None:
        """Stages a set, or the first `part` of each image, in chunks of `size`; later pieces
        first within an image, as blocks may come."""
        commit = self.store.commit
        self.staging = commit.stage(images(name))
        for _ in self.staging.carry_over():
            pass
        for index, data in enumerate(SETS[name][1]):
            start = self.staging.resume_at(index)
            end = int(len(data) * part)
            starts = list(range(start, end, size))
            for pair in range(0, len(starts), 2):
                for at in reversed(starts[pair : pair + 2]):
                    piece = memoryview(data)[at : min(at + size, end)]
                    self.staging.write(index, at, piece)

    def push(self, name: str) -> None:
        """Stages a whole set and commits it."""
        self.stage(name)
        self.store.commit.commit(self.staging)

    def confirmed(self, name: str, floor: int = 0) -> None:
        self.push(name)
        self.store.commit.confirm(floor)
