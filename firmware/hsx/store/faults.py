# SPDX-License-Identifier: MIT
"""The record of boot faults: how many there were of each kind, and what the last one was.

Two records in turn, as for the staging; byte layout: docs/fram_layout.md. They tell and decide
nothing: what becomes of a set stands in the superblock. A format leaves them as they are.
"""

import struct

from micropython import const

from .layout import FAULTS_COPY
from .record import seal, sealed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .region import Region

KINDS = ("exception", "watchdog", "task", "brown-out", "hard fault")

_FORMAT = "<IIIHHHHHBB32s"
SIZE = const(60)
_MOST = const(0xFFFF)


class Faults:
    """In `region`; None on a medium that has no room for them. Made when there is something to be
    noted or asked: a node that boots well does not load this."""

    def __init__(self, region: "Region | None") -> None:
        self._region = region
        self._copy = 1  # which of the two is the newest
        self._seq = 0
        self.counts = [0, 0, 0, 0, 0]  # by KINDS
        self.kind = -1  # of the last one, -1: there was none
        self.bank = 0  # that was active
        self.name = ""  # of the app or the exception, as far as 32 bytes hold it
        self.generation = 0  # of the superblock

    def open(self) -> None:
        """Reads both records and takes the newest valid one."""
        region = self._region
        if region is None:
            return
        self._seq = 0
        buf = bytearray(SIZE)
        for copy in (0, 1):
            region.readinto(copy * FAULTS_COPY, buf)
            seq = struct.unpack_from("<I", buf, 0)[0]
            if seq > self._seq and sealed(buf):
                fields = struct.unpack_from(_FORMAT, buf, 0)
                self._copy = copy
                self._seq, self.generation = fields[:2]
                self.counts = list(fields[3:8])
                self.kind, self.bank = fields[8:10]
                self.name = _text(fields[10])

    def note(self, what: str, bank: int, name: str, generation: int) -> None:
        """One more of KINDS, and what it was. The medium's errors."""
        kind = KINDS.index(what)
        self.counts[kind] = min(self.counts[kind] + 1, _MOST)
        self.kind = kind
        self.bank = bank
        self.name = name
        self.generation = generation
        if self._region is None:
            return
        self._seq += 1
        buf = bytearray(SIZE)
        text = name.encode()[:32]
        counts = self.counts
        struct.pack_into(_FORMAT, buf, 0, self._seq, generation, 0, *counts, kind, bank, text)
        seal(buf)
        self._copy = 1 - self._copy
        self._region.write(self._copy * FAULTS_COPY, buf)

    def facts(self) -> "dict[str, Any]":
        """The counts under the names of KINDS, and the last one: kind, bank, name."""
        found: "dict[str, Any]" = dict(zip(KINDS, self.counts))  # noqa: B905  MicroPython's zip
        found["last"] = KINDS[self.kind] if self.kind >= 0 else ""
        found["bank"] = self.bank
        found["name"] = self.name
        return found


def _text(field: bytes) -> str:
    end = field.find(b"\0")
    field = field if end < 0 else field[:end]
    try:
        return str(field, "utf-8")
    except UnicodeError:
        return "?"
