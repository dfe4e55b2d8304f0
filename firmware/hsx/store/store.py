# SPDX-License-Identifier: MIT
"""Store: the front. One medium, opened whole."""

from micropython import const

from .. import errors
from ..errors import EBADMSG, EPERM, HsxError
from .bank import BankReader
from .commit import ATTEMPTS, Commit
from .counters import Counters
from .layout import layout_of
from .saved_values import SavedValues
from .staging import StagingRecord
from .superblock import BANK_A, BANK_B, Superblocks
from .wear import LIMIT, Wear

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..contracts import Emit
    from .faults import Faults
    from .layout import Layout
    from .region import Region

CHUNK = const(512)  # bytes: a block of a link is compared whole
CONFIRMATION = "erase everything"

BANK_NAMES = ("none", "A", "B")
STATE_NAMES = ("empty", "trial", "confirmed", "reverted")


class Store:
    """`medium`: the whole part. `emit(type, pid, data)` takes events. `attempts`: hard resets that
    a trial may see, 0: ATTEMPTS. `wear_limit`: as in Wear, 0: LIMIT. `layout`: by default the one
    of the medium's size, ENOTSUP if it has none.

    Boot: `open()`, then `commit.choose(hard)` and `commit.run(bank, load)`; in the main loop
    `poll(now)`.
    """

    def __init__(
        self,
        medium: "Region",
        emit: "Emit | None" = None,
        attempts: int = 0,
        wear_limit: int = 0,
        layout: "Layout | None" = None,
    ) -> None:
        self.layout = layout_of(medium.size) if layout is None else layout
        self._emit = emit
        self._told = False  # that there are damaged records
        self._worn = -1  # partition that was reported last
        regions = self.layout.regions(medium)
        self.wear = Wear(regions, wear_limit or LIMIT)
        self.superblocks = Superblocks(regions[0], self.layout.log2_size, self.wear)
        self.staging = StagingRecord(regions[1])
        self.counters = Counters(regions[2], self.layout.counters)
        self.values = SavedValues(regions[3], self.superblocks, self.layout.values)
        self._medium = medium
        self._banks = regions[4:]
        chunk = memoryview(bytearray(CHUNK))
        self._chunk = chunk
        self.commit = Commit(
            self.superblocks,
            self._banks,
            self.staging,
            self.values,
            chunk,
            attempts or ATTEMPTS,
            self.layout.progress,
        )

    @property
    def valid(self) -> bool:
        """Whether there is a store: opened, with a superblock."""
        return self.superblocks.valid

    def probe(self) -> int:
        """Reads a block of a bank, for who wants to know how long that takes; its bytes, 0 where
        there are no banks. The medium's errors."""
        if not self.layout.bank_base:
            return 0
        self._banks[0].readinto(0, self._chunk)
        return len(self._chunk)

    def open(self) -> bool:
        """Opens and repairs (R4, C1); False if there is no valid superblock: then nothing is
        written, and only `format()` makes one. ENOTSUP for a store of another layout version or
        medium size; EIO and ENODEV of the medium: try again, nothing is lost."""
        if not self.superblocks.open():
            return False
        try:
            self.staging.open()
            self.counters.open()
            self.values.open()
        except OSError:
            self.superblocks.valid = False
            raise
        self._told = False
        if self.counters.lost:
            self._tell_damage()
        return True

    def format(self, confirmation: str = "") -> None:
        """F: an empty store; sets, values, counters and floor are gone, ids go on above the old
        ones. `confirmation` must be CONFIRMATION, or EPERM. ENOTSUP for what `open()` refuses:
        another version's store is not ours to erase."""
        if confirmation != CONFIRMATION:
            raise HsxError(EPERM, "begin", "format erases everything: confirm it")
        # F: superblocks first set aside, the older one first, and written last.
        self.superblocks.set_aside()
        self.commit.forget()
        self.staging.clear()
        self.counters.clear()
        self.values.clear()
        self.superblocks.create()
        self.open()

    def poll(self, now: int) -> bool:
        """One bounded piece of work: a saved value that is due, or a fold of the wear counters.
        Whether there was any. Errors of the medium become warnings."""
        if not self.valid:
            return False
        try:
            if self.values.damaged:
                self._tell_damage()
            if self.values.poll(now):
                return True
            if self.wear.due():
                self.fold()
                return True
            if self.values.look():
                return True
        except OSError as error:
            code = errors.name(error.errno)
            self._tell("warning", {"code": code, "detail": "store write failed"})
        return False

    def fold(self) -> None:
        """Writes the wear counters (one superblock write, R2) and reports a worn partition."""
        self.superblocks.put(once=True)
        at = self.wear.worn(self.superblocks.state.wear)
        if at >= 0 and at != self._worn:
            self._worn = at
            name = self.layout.partitions()[at][0]
            self._tell("warning", {"detail": "partition is worn", "partition": name})

    def faults(self) -> "Faults":
        """The record of boot faults, read. The medium's errors."""
        from .faults import Faults

        found = Faults(self.layout.faults(self._medium))
        found.open()
        return found

    def close(self) -> None:
        """Saves what waits: before a soft reset or a planned power-off."""
        if self.valid:
            self.values.flush()

    # ---- what there is ------------------------------------------------------------------------

    def status(self) -> "dict[str, Any]":
        """The superblock in words. ENODEV without a store."""
        self.superblocks.require()
        state = self.superblocks.state
        return {
            "generation": state.generation,
            "active": BANK_NAMES[state.active],
            "state": STATE_NAMES[state.states[state.active - 1]] if state.active else "none",
            "attempts": state.attempts,
            "floor": state.floor,
            "trial": state.open,
            "confirmed": state.ok,
        }

    def slots(self) -> "list[dict[str, Any]]":
        """The two banks: name, active, state, digest, images. `images` is None for a bank whose
        directory is not the set's. ENODEV without a store."""
        return [self._slot(bank) for bank in (BANK_A, BANK_B)]

    def _slot(self, bank: int) -> "dict[str, Any]":
        self.superblocks.require()
        state = self.superblocks.state
        digest = state.digests[bank - 1]
        images: "list[dict[str, Any]] | None" = []
        if state.states[bank - 1]:
            images = self._images(bank, digest)
        return {
            "bank": BANK_NAMES[bank],
            "active": state.active == bank,
            "state": STATE_NAMES[state.states[bank - 1]],
            "digest": digest,
            "images": images,
        }

    def _images(self, bank: int, digest: bytes) -> "list[dict[str, Any]] | None":
        # A reader of its own: a staging may be using the other.
        reader = BankReader(self._banks[bank - 1], self._chunk[: CHUNK // 2])
        try:
            reader.open(digest)
        except HsxError as error:
            if error.errno != EBADMSG:
                raise
            return None
        found = []
        for index in range(reader.count):
            image = reader.image(index)
            facts = {"name": image.name, "version": image.version, "length": image.length}
            facts["sha256"] = image.sha256
            found.append(facts)
        return found

    def _tell_damage(self) -> None:
        if not self._told:
            self._told = True
            self._tell("warning", {"code": "EBADMSG", "detail": "damaged records"})

    def _tell(self, kind: str, data: "dict[str, Any]") -> None:
        if self._emit is not None:
            self._emit(kind, 0, data)
