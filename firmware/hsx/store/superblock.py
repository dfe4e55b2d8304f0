# SPDX-License-Identifier: MIT
"""The superblock: two copies of what the store is, and the only commit there is.

R1: what it holds; R2: how it changes; R3: what is looked at before; R4: what an opening repairs.
A copy counts if its CRC fits; the valid one with the highest generation is the truth. Byte layout:
docs/fram_layout.md.
"""

import struct

from micropython import const

from ..errors import EIO, ENODEV, ENOSPC, ENOTSUP, HsxError
from .layout import COPY, VERSION
from .record import seal, sealed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .region import Region
    from .wear import Wear

NONE = 0  # banks; bank n has index n - 1 in lists
BANK_A = 1
BANK_B = 2

EMPTY = 0  # states of a bank
TRIAL = 1
CONFIRMED = 2
REVERTED = 3

SIZE = 96  # bytes of a copy
DIGEST = 16  # bytes kept of a set's digest
NO_DIGEST = bytes(16)

_MAGIC = b"HSXS"
_FORMATTING = b"HSXF"  # a copy that a format has set aside; it keeps the generation (F)
_FORMAT = "<4sBBBBIBBH16s16sIIIIB3xIIIIII"
_GENERATION_AT = const(8)
_STATES_AT = const(12)
_ATTEMPTS_AT = const(64)  # attempts and wear: where the copies may differ (R4)
_LAST_GENERATION = const(0xFFFFFF00)


class State:
    """What the superblock says (R1). Changed only by `commit` and `wear`, then put."""

    def __init__(self) -> None:
        self.generation = 0  # 32 bits, of the newest copy; never reset
        self.active = NONE
        self.states = [EMPTY, EMPTY]
        self.digests = [NO_DIGEST, NO_DIGEST]  # first 16 bytes of the SHA-256 of a directory
        self.floor = 0  # lowest epoch that may start
        self.open = 0  # id of the trial that runs, 0: none
        self.ok = 0  # id of the last confirmed trial
        self.decl = 0  # id of the last declaration of an empty bank
        self.attempts = 0  # hard resets that this trial has seen
        self.wear = [0, 0, 0, 0, 0, 0]  # units of 64 bytes, per partition

    def pack_into(self, buf: bytearray, log2_size: int) -> None:
        """A sealed copy, 96 bytes."""
        struct.pack_into(
            _FORMAT,
            buf,
            0,
            _MAGIC,
            VERSION,
            log2_size,
            self.active,
            0,
            self.generation,
            self.states[0],
            self.states[1],
            0,
            self.digests[0],
            self.digests[1],
            self.floor,
            self.open,
            self.ok,
            self.decl,
            self.attempts,
            *self.wear,
        )
        seal(buf)

    def unpack(self, buf: bytearray) -> None:
        """Takes the fields of a valid copy."""
        fields = struct.unpack_from(_FORMAT, buf, 0)
        self.active = fields[3]
        self.generation = fields[5]
        self.states = [fields[6], fields[7]]
        self.digests = [fields[9], fields[10]]
        self.floor, self.open, self.ok, self.decl, self.attempts = fields[11:16]
        self.wear = list(fields[16:22])


def read_copy(region: "Region", copy: int, buf: bytearray, log2_size: int) -> int:
    """Reads a copy into `buf`; its generation, or -1 if it is no valid superblock. ENOTSUP for a
    valid one of another layout version or medium size: it is somebody's, and not ours to touch.
    Those three fields and the CRC stand where they are in every version."""
    region.readinto(copy * COPY, buf)
    if buf[:4] != _MAGIC or not sealed(buf):
        return -1
    if buf[4] != VERSION:
        raise HsxError(ENOTSUP, "boot", "store has another layout version")
    if buf[5] != log2_size:
        raise HsxError(ENOTSUP, "boot", "store was made for another medium size")
    return struct.unpack_from("<I", buf, _GENERATION_AT)[0]


class Superblocks:
    """Both copies in `region`. `state` is what the copy in use says; `put()` makes changes of it
    last. While `valid` is False there is no store: no superblock, or the medium failed."""

    def __init__(self, region: "Region", log2_size: int, wear: "Wear") -> None:
        self._region = region
        self._log2_size = log2_size
        self._wear = wear
        self._raw = bytearray(SIZE)  # the copy in use, as it must read
        self._seen = bytearray(SIZE)
        self._used = 0  # which copy is in use
        self.valid = False
        self.state = State()

    def open(self) -> bool:
        """Takes the newest valid copy and repairs the other (R4); False if none is valid. ENOTSUP
        as `read_copy`; EIO and ENODEV of the medium."""
        self.valid = False
        first = read_copy(self._region, 0, self._raw, self._log2_size)
        second = read_copy(self._region, 1, self._seen, self._log2_size)
        if first < 0 and second < 0:
            return False
        self._used = 0
        if second > first:
            self._used = 1
            self._raw, self._seen = self._seen, self._raw
        self.state.unpack(self._raw)
        # R4: before anything else, as a second fault could hit the only copy that says so.
        if min(first, second) < 0 or abs(first - second) > 1 or not self._agree():
            self._write_copies(1)
        self.valid = True
        return True

    def put(self, once: bool = False) -> None:
        """Makes `state` last. R2: into the copy not in use (the commit point), then into the
        other, each with a new generation; `once`, for attempts and wear: the first only. R3: an
        error of the medium is a power cut: `state` is read again, and the error goes on."""
        self.require()
        try:
            self._write_copies(1 if once else 2)
        except OSError:
            self.open()
            raise

    def require(self) -> None:
        """ENODEV while there is no store."""
        if not self.valid:
            raise HsxError(ENODEV, "begin", "there is no store")

    def _write_copies(self, copies: int) -> None:
        if self.state.generation >= _LAST_GENERATION:
            raise HsxError(ENOSPC, "commit", "generations are used up")
        self._wear.fold(self.state.wear)
        if not self._in_use_is_good():
            # R3: the bad copy first, for the other may be the only good one; then that too.
            self._rewrite()
            copies = 1
        while copies:
            self._write(1 - self._used)
            copies -= 1
            if copies and not self._in_use_is_good():
                self._rewrite()

    def _rewrite(self) -> None:
        self._write(self._used)
        if not self._in_use_is_good():
            raise HsxError(EIO, "commit", "superblock does not read back")

    def _write(self, copy: int) -> None:
        self.state.generation += 1
        self.state.pack_into(self._raw, self._log2_size)
        self._region.write(copy * COPY, self._raw)
        self._used = copy

    def _in_use_is_good(self) -> bool:
        """R3: whether the copy in use reads as it was written."""
        self._region.readinto(self._used * COPY, self._seen)
        return self._seen == self._raw

    def _agree(self) -> bool:
        """R4: whether the copies differ in generation, attempts and wear only."""
        for at in range(_ATTEMPTS_AT):
            if self._raw[at] != self._seen[at] and not _GENERATION_AT <= at < _STATES_AT:
                return False
        return True

    # ---- format (F) ---------------------------------------------------------------------------

    def set_aside(self) -> None:
        """Invalidates both copies, the older first; they keep the highest generation, so that
        the ids of the new store are above those of the old one, cut or not. ENOTSUP as
        `read_copy`."""
        first = read_copy(self._region, 0, self._raw, self._log2_size)
        second = read_copy(self._region, 1, self._seen, self._log2_size)
        first = max(first, aside(self._raw))
        second = max(second, aside(self._seen))
        self.valid = False
        raw = self._raw
        for at in range(SIZE):
            raw[at] = 0
        raw[:4] = _FORMATTING
        raw[4] = VERSION
        raw[5] = self._log2_size
        struct.pack_into("<I", raw, _GENERATION_AT, max(first, second, 0))
        seal(raw)
        older = 1 if second < first else 0
        self._region.write(older * COPY, raw)
        self._region.write((1 - older) * COPY, raw)
        self.state = State()
        self.state.generation = max(first, second, 0)

    def create(self) -> None:
        """Writes both copies of an empty store, after `set_aside`."""
        self.state.decl = self.state.generation + 1
        self._write(0)
        self._write(1)
        self.valid = True


def aside(buf: bytearray) -> int:
    """The generation that a copy set aside keeps, or -1."""
    if buf[:4] != _FORMATTING or not sealed(buf):
        return -1
    return struct.unpack_from("<I", buf, _GENERATION_AT)[0]
