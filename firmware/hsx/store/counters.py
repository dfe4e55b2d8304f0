# SPDX-License-Identifier: MIT
"""Counters of signed commands: the highest that was acted on, for each trusted key, so that no
command acts twice (C1).

Two records {key id, counter, CRC} for each key, outside revert and purge; both are written, then
the command acts. A key whose records are both lost is refused until a person resets it: it must
never start again at 0.
"""

import struct

from micropython import const

from ..errors import EACCES, EEXIST, ENODEV, ENOENT, ENOSPC, EPERM, HsxError
from .record import blank, seal, sealed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .region import Region

ID = const(8)  # bytes: the first of the SHA-256 of the public key
_RECORD = const(16)
_LAST = const(0xFFFFFFFF)


class Counters:
    """`count` keys in `region`."""

    def __init__(self, region: "Region", count: int) -> None:
        self._region = region
        self._count = count
        self._record = bytearray(_RECORD)
        self._other = bytearray(_RECORD)
        self._opened = False
        self.lost = 0  # places with both records damaged, found when the store was opened

    def open(self) -> None:
        """C1: makes the records of each key equal, the higher one counts."""
        self._opened = False
        self.lost = 0
        for at in range(self._count):
            first = self.read(at, 0, self._record)
            second = self.read(at, 1, self._other)
            if first == second and (first >= 0 or blank(self._other)):
                # Equal; or free: an enrolment that was cut in its first record leaves the second
                # blank, and no command of that key has acted.
                continue
            if first < 0 and second < 0:
                self.lost += 1
            elif first > second:
                self._region.write((2 * at + 1) * _RECORD, self._record)
            else:
                self._region.write(2 * at * _RECORD, self._other)
        self._opened = True

    def clear(self) -> None:
        """Blanks every record (format)."""
        for at in range(_RECORD):
            self._record[at] = 0
        for at in range(2 * self._count):
            self._region.write(at * _RECORD, self._record)

    def enrol(self, key: bytes, counter: int = 0) -> None:
        """Gives a new trusted key its place. EEXIST if it has one; ENOSPC if none is left; EACCES
        while a place is lost, for it may be this key's."""
        self._require()
        if self._find(key) >= 0:
            raise HsxError(EEXIST, "begin", "key has a counter")
        if self.lost:
            raise HsxError(EACCES, "begin", "a counter is lost")
        for at in range(self._count):
            if self.read(at, 0, self._record) < 0 and self.read(at, 1, self._other) < 0:
                self._write(at, key, counter)
                return
        raise HsxError(ENOSPC, "begin", "no room for another counter")

    def value(self, key: bytes) -> int:
        """The highest counter that was acted on. ENOENT for a key without a place, EACCES while a
        place is lost, for it may be this key's."""
        self._require()
        at = self._find(key)
        if at < 0:
            if self.lost:
                raise HsxError(EACCES, "begin", "a counter is lost")
            raise HsxError(ENOENT, "begin", "key has no counter")
        return struct.unpack_from("<I", self._record, ID)[0]

    def advance(self, key: bytes, counter: int) -> None:
        """Takes the counter of a command; only then may it act. EPERM for one that is not higher
        than all before; else as `value`."""
        if not self.value(key) < counter <= _LAST:
            raise HsxError(EPERM, "begin", "command was seen before")
        self._write(self._find(key), key, counter)

    def _require(self) -> None:
        if not self._opened:
            raise HsxError(ENODEV, "begin", "there is no store")

    def _write(self, at: int, key: bytes, counter: int) -> None:
        self._record[:ID] = key
        struct.pack_into("<I", self._record, ID, counter)
        seal(self._record)
        for copy in (0, 1):
            self._region.write((2 * at + copy) * _RECORD, self._record)

    def _find(self, key: bytes) -> int:
        """The place of a key, its record in `_record`; -1 if it has none."""
        for at in range(self._count):
            for copy in (0, 1):
                if self.read(at, copy, self._record) >= 0 and self._record[:ID] == key:
                    return at
        return -1

    def read(self, at: int, copy: int, buf: bytearray) -> int:
        """Reads record `copy` of place `at` into `buf` (16 bytes, the key's id in front); its
        counter, -1 if it does not count."""
        self._region.readinto((2 * at + copy) * _RECORD, buf)
        return struct.unpack_from("<I", buf, ID)[0] if sealed(buf) else -1
