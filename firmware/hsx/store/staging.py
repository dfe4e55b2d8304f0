# SPDX-License-Identifier: MIT
"""A set on its way into the inactive bank, and the record that lets it go on after a reset (R6).

Begin is `Commit.stage()` for images, or `Commit.stage_stream()` for the bytes of a whole bank;
they arrive in chunks of any size, at any offset, in any order; `end()` reads the whole bank back;
`Commit.commit()` makes it the one that boots. A reset or an abort between leaves nothing to clean
up: the same set, staged again, goes on where it was.
"""

import struct

from micropython import const

from ..errors import EBADMSG, EBUSY, ENOSPC, HsxError
from .bank import ENTRY, HEADER
from .layout import STAGING_COPY
from .record import seal, sealed
from .superblock import EMPTY, NO_DIGEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..contracts import Judge
    from .bank import BankReader, BankWriter, Image, StreamWriter
    from .region import Region
    from .superblock import State

_FORMAT = "<IIIB3x16s"
_SIZE = const(36)
_RANGES = const(8)  # pieces ahead of the contiguous part that are remembered


class StagingRecord:
    """The newest of two alternating records {seq, decl, progress, bank, digest}."""

    def __init__(self, region: "Region") -> None:
        self._region = region
        self._buf = bytearray(_SIZE)
        self._copy = 0  # which of the two is the newest
        self.seq = 0  # 0: none
        self.decl = 0
        self.progress = 0  # bytes from the start of the bank that are in place
        self.bank = 0
        self.digest = NO_DIGEST

    def open(self) -> None:
        """Reads both records and keeps the newest valid one."""
        self.seq = 0
        self.bank = 0
        for copy in (0, 1):
            self._region.readinto(copy * STAGING_COPY, self._buf)
            seq = struct.unpack_from("<I", self._buf, 0)[0]
            if sealed(self._buf) and seq > self.seq:
                self._copy = copy
                self.seq, self.decl, self.progress, self.bank, self.digest = struct.unpack_from(
                    _FORMAT, self._buf, 0
                )

    def counts(self, state: "State", bank: int) -> bool:
        """R6: whether the record speaks of what `bank` holds now."""
        return (
            self.bank == bank
            and state.active != bank
            and state.states[bank - 1] == EMPTY
            and self.decl == state.decl
        )

    def write(self, bank: int, decl: int, digest: bytes, progress: int) -> None:
        """A new record, in place of the older one."""
        struct.pack_into(_FORMAT, self._buf, 0, self.seq + 1, decl, progress, bank, digest)
        seal(self._buf)
        self._region.write((1 - self._copy) * STAGING_COPY, self._buf)
        self._copy = 1 - self._copy
        self.seq += 1
        self.decl = decl
        self.progress = progress
        self.bank = bank
        self.digest = digest

    def clear(self) -> None:
        """Blanks both records (format)."""
        for at in range(_SIZE):
            self._buf[at] = 0
        self._region.write(0, self._buf)
        self._region.write(STAGING_COPY, self._buf)


class Staging:
    """One set being staged into `bank`; made by `Commit.stage()`. `active`: a reader of the bank
    that runs, opened, or None. `progress`: bytes between two staging records."""

    def __init__(
        self,
        bank: int,
        decl: int,
        writer: "BankWriter | StreamWriter",
        reader: "BankReader",
        record: StagingRecord,
        active: "BankReader | None",
        chunk: memoryview,
        progress: int,
    ) -> None:
        self.bank = bank
        self.images = writer.images  # of a stream: empty until `carry_over` has seen its directory
        self.digest = writer.digest
        self.total = writer.used  # bytes, directory and gaps included
        self.done = 0  # bytes from the start of the bank that are in place
        self.live = True  # False once committed, aborted, or another staging has begun
        self.verified = False  # True from a good read-back to the next write
        self._epoch = 0
        self._changed = False  # since the read-back began
        self._decl = decl
        self._writer = writer
        self._reader = reader
        self._record = record
        self._active = active
        self._chunk = chunk
        self._progress = progress
        self._ahead: "list[tuple[int, int]]" = []

    def begin(self, counts: bool) -> None:
        """Takes up the work: `counts`, whether the staging record is of this bank (R6)."""
        record = self._record
        resumed = counts and record.digest == self.digest
        if counts and not resumed and record.progress:
            # Another set was on its way here: its progress must not outlive its bytes.
            record.write(self.bank, self._decl, self.digest, 0)
        self.done = self._writer.begin()
        if resumed:
            self.done = max(self.done, min(record.progress, self.total))

    def write(self, index: int, offset: int, data: memoryview) -> None:
        """Bytes of image `index` from `offset` in it. EBUSY for a staging that is over; else as
        BankWriter.place."""
        self._require()
        self.put(self._writer.place(index, offset, len(data)), data)

    def put(self, at: int, data: memoryview) -> None:
        """Bytes from `at` of the bank. EBUSY for a staging that is over, ENOSPC beyond its end."""
        self._require()
        if at < 0 or at > self.total - len(data):
            raise HsxError(ENOSPC, "write", "set is longer than announced", offset=at)
        self.verified = False
        self._changed = True
        self._writer.put(at, data)
        self._arrived(at, at + len(data))
        if self.done - self._recorded() >= self._progress:
            # R6: data first, then progress.
            self._record.write(self.bank, self._decl, self.digest, self.done)

    def resume_at(self, index: int) -> int:
        """Bytes of image `index` that are in place from its start on: where a transfer goes on."""
        image = self.images[index]
        return max(0, min(image.length, self.done - image.offset))

    def carry_over(self) -> "Iterator[None]":
        """Copies the images that the active bank holds too, one chunk a step. Of a stream the
        directory must be in place: EBADMSG if it is not the announced one."""
        self._require()
        self._learn()
        if self._active is None:
            return
        for index, image in enumerate(self.images):
            old = self._active.find(image.sha256, image.length)
            at = self.resume_at(index)
            while old is not None and at < image.length:
                count = min(len(self._chunk), image.length - at)
                self._active.read(old, at, self._chunk[:count])
                self.put(image.offset + at, self._chunk[:count])
                at += count
                yield

    def holds(self, start: int, end: int) -> bool:
        """Whether the bytes from `start` to before `end` are in place or can be carried over. Of a
        stream that is known once its directory is there."""
        at = max(start, self.done)
        while at < end:
            reached = self._reach(at)
            if reached == at:
                return False
            at = reached
        return True

    def _reach(self, at: int) -> int:
        """How far what need not be sent goes on from `at`: to the end of an image that the active
        bank has too, or of a gap, which is nobody's; `at` itself where neither is."""
        if self._active is None or not self._knows():
            return at
        end = HEADER + len(self.images) * ENTRY
        for image in self.images:
            if at < image.offset:
                return image.offset if at >= end else at
            end = image.offset + image.length
            if at < end:
                return end if self._active.find(image.sha256, image.length) else at
        return at

    def _knows(self) -> bool:
        try:
            self._learn()
        except HsxError as error:
            if error.errno != EBADMSG:
                raise
        return bool(self.images)

    def _learn(self) -> None:
        if not self.images:
            self._reader.open(self.digest)
            self.images = [self._reader.image(index) for index in range(self._reader.count)]

    def end(self, judged_by: "Callable[[Image], Judge] | None" = None) -> "Iterator[None]":
        """Reads the whole bank back, one chunk a step (R7). EBADMSG if it is not the set; then
        the staging starts anew from its first byte. `judged_by(image)`: BankReader.check_all."""
        self._require()
        self._changed = False
        try:
            self._reader.open(self.digest)
            yield from self._reader.check_all(True, judged_by)
            self._epoch = self._reader.epoch
        except HsxError as error:
            if error.errno == EBADMSG:
                # R7: before the error is reported.
                self._record.write(self.bank, self._decl, self.digest, 0)
                self.done = 0
                self._ahead.clear()
            raise
        self.verified = not self._changed

    def abort(self) -> None:
        """Gives up; what is in place stays for the next staging of the same set."""
        self.live = False

    @property
    def epoch(self) -> int:
        """The lowest epoch of the images, once verified."""
        return self._epoch

    def _require(self) -> None:
        if not self.live:
            raise HsxError(EBUSY, "write", "staging is over")

    def _recorded(self) -> int:
        record = self._record
        same = record.decl == self._decl and record.bank == self.bank
        return record.progress if same and record.digest == self.digest else 0

    def _arrived(self, start: int, end: int) -> None:
        """Moves `done` on over what has arrived; pieces ahead of it wait, a few of them: one that
        is forgotten only lets a resume send it once more."""
        if start > self._bridge(self.done):
            if len(self._ahead) < _RANGES:
                self._ahead.append((start, end))
            return
        self.done = max(self.done, end)
        for piece in sorted(self._ahead):
            if piece[0] <= self._bridge(self.done):
                self.done = max(self.done, piece[1])
                self._ahead.remove(piece)

    def _bridge(self, at: int) -> int:
        """`at`, or the next image's start if an image ends there: the gap between is nobody's."""
        end = -1
        for image in self.images:
            if at == end:
                return image.offset
            end = image.offset + image.length
        return at
