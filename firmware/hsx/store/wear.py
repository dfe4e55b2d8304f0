# SPDX-License-Identifier: MIT
"""How often the cells of each partition were written: counted in RAM by the regions, folded into
the superblock (P-53).

The unit is 64 bytes written; units x 64 / size of the partition is the mean number of writes of
one of its cells. A fold costs one superblock write (R2 asks for one only) and rides for nothing on
every other. What RAM had not folded at a power cut is lost: a partition is behind by `FOLD` bytes
at most, and never ahead by more than its remainder.
"""

from micropython import const

UNIT = const(64)  # bytes
FOLD = const(0x10000)  # bytes of a partition written since its last fold that ask for a fold
LIMIT = const(1000000000)  # writes of a cell at which a medium is called worn (FRAM: 10**12)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .region import SubRegion


class Wear:
    """`regions`: the partitions, in the order of the superblock. `limit`: mean writes of a cell
    from which a partition counts as worn."""

    def __init__(self, regions: "list[SubRegion]", limit: int = LIMIT) -> None:
        self._regions = regions
        self._limit = limit

    def due(self) -> bool:
        """Whether a fold of its own is worth a superblock write."""
        for region in self._regions:  # noqa: SIM110  any() with a generator allocates
            if region.written >= FOLD:
                return True
        return False

    def fold(self, counts: "list[int]") -> None:
        """Moves whole units from RAM into `counts`; they stop at 2**32 - 1."""
        for at, region in enumerate(self._regions):
            counts[at] = min(counts[at] + region.written // UNIT, 0xFFFFFFFF)
            region.written %= UNIT

    def writes(self, at: int, count: int) -> int:
        """Mean writes of a cell of partition `at` that `count` units stand for."""
        size = self._regions[at].size
        return count * UNIT // size if size else 0

    def worn(self, counts: "list[int]") -> int:
        """The first partition beyond the limit, or -1."""
        for at, count in enumerate(counts):
            if self.writes(at, count) >= self._limit:
                return at
        return -1
