# SPDX-License-Identifier: MIT
"""Where everything stands on a medium: a table by its size, nothing of it is stored but the
layout's version and the medium's size, in each superblock.

Records in front, one after the other, then the banks. FRAM bears 10**12 writes and more of a cell,
so nothing moves about: the superblocks alternate, the values take the oldest of three slots.
"""

from micropython import const

from ..errors import ENOTSUP, HsxError
from .region import Region, SubRegion

VERSION = const(1)
MAX_IMAGES = const(16)  # of a set

COPY = const(128)  # bytes reserved for a superblock copy, of which 96 are used
STAGING_COPY = const(64)  # bytes reserved for a staging record
COUNTER = const(32)  # bytes of a counter: two records
VALUE = const(48)  # bytes of a value: three slots
FAULTS_COPY = const(64)  # bytes reserved for a record of boot faults

_PROGRESS = const(4096)

# log2 of the size, counters, values, address of bank A (0: no banks)
_SIZES = (
    (13, 8, 157, 0),
    (15, 8, 64, 0x1000),
    (17, 16, 128, 0x2000),
    (19, 16, 256, 0x4000),
)


class Layout:
    """Addresses and sizes in bytes. `log2_size`: of the medium; `counters`, `values`: how many;
    `bank_base`: address of bank A, 0 for none."""

    def __init__(self, log2_size: int, counters: int, values: int, bank_base: int) -> None:
        self.log2_size = log2_size
        self.size = 1 << log2_size
        self.counters = counters
        self.values = values
        self.staging_base = 2 * COPY
        self.counters_base = self.staging_base + 2 * STAGING_COPY
        self.values_base = self.counters_base + counters * COUNTER
        self.progress = _PROGRESS  # bytes staged between two staging records (R6)
        self.bank_base = bank_base
        self.bank_size = (self.size - bank_base) // 2 if bank_base else 0

    def partitions(self) -> "list[tuple[str, int, int]]":
        """(name, address, bytes), in the order of the wear counters (R1)."""
        base = self.bank_base
        return [
            ("superblocks", 0, 2 * COPY),
            ("staging", self.staging_base, 2 * STAGING_COPY),
            ("counters", self.counters_base, self.counters * COUNTER),
            ("values", self.values_base, self.values * VALUE),
            ("bank A", base, self.bank_size),
            ("bank B", base + self.bank_size, self.bank_size),
        ]

    def faults(self, medium: Region) -> "SubRegion | None":
        """The records of boot faults: right before the banks; None without banks."""
        if not self.bank_base:
            return None
        return SubRegion(medium, self.bank_base - 2 * FAULTS_COPY, 2 * FAULTS_COPY)

    def regions(self, medium: Region) -> "list[SubRegion]":
        """A region for each partition."""
        return [SubRegion(medium, base, size) for _, base, size in self.partitions()]


def layout_of(size: int) -> Layout:
    """The layout of a medium of `size` bytes; ENOTSUP for one that has none."""
    for log2_size, counters, values, bank_base in _SIZES:
        if size == 1 << log2_size:
            return Layout(log2_size, counters, values, bank_base)
    raise HsxError(ENOTSUP, "begin", "no layout for a medium of this size")
