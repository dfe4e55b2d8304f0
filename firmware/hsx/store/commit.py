# SPDX-License-Identifier: MIT
"""The states of a bank, and what is written to go from one to the next.

| operation | bank before | after | superblock writes |
|---|---|---|---|
| declare | any but trial, inactive | empty | 2, none if it is empty already |
| commit | empty, inactive | trial, active | 2 |
| attempt | trial | trial | 1 |
| confirm | trial | confirmed | 2 |
| revert | trial | reverted, the confirmed bank active or none | 2 |
| reject | confirmed, its apps fault | reverted, the other confirmed bank active | 2 |
| rollback | confirmed, the other too | both stay, the other active | 2 |
| purge | any but trial | empty, none active | 2 |

What an operation may be refused for: EBUSY, a set is on trial, or none is where one must be;
ENOENT, there is no other set; EBADMSG, a set is not whole; EPERM, below the epoch floor; ENODEV,
there is no store; EIO and ENODEV of the medium. A refused operation has changed nothing; one that
the medium broke off has happened or not, as after a power cut (R3).
"""

from micropython import const

from ..errors import EBADMSG, EBUSY, EIO, ENODEV, ENOENT, EPERM, HsxError
from .bank import BankReader, BankWriter, StreamWriter
from .staging import Staging, StagingRecord
from .superblock import (
    BANK_A,
    BANK_B,
    CONFIRMED,
    EMPTY,
    NO_DIGEST,
    NONE,
    REVERTED,
    TRIAL,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from .bank import Image
    from .region import Region
    from .saved_values import SavedValues
    from .superblock import State, Superblocks

    Load = Callable[[BankReader], Iterator[None]]

ATTEMPTS = const(3)  # hard resets that a trial may see before it is reverted

_TRIES = const(3)  # of a set on a medium that fails
_DAMAGE = (EBADMSG, EPERM, ENOENT)  # why a bank may not boot; anything else is the medium's

_DECLARE = const(0)
_COMMIT = const(1)
_CONFIRM = const(2)
_REVERT = const(3)
_REJECT = const(4)
_PURGE = const(5)

# State after, by operation and state before (empty, trial, confirmed, reverted); -1: refused.
_AFTER = (
    (EMPTY, -1, EMPTY, EMPTY),  # declare
    (TRIAL, -1, -1, -1),  # commit
    (-1, CONFIRMED, -1, -1),  # confirm
    (-1, REVERTED, -1, -1),  # revert
    (-1, -1, REVERTED, -1),  # reject
    (EMPTY, -1, EMPTY, EMPTY),  # purge
)


def after(operation: int, before: int) -> int:
    """The state after an operation on a bank; EBUSY where the table has none."""
    result = _AFTER[operation][before]
    if result < 0:
        raise HsxError(EBUSY, "commit", "bank is not in the state for this")
    return result


class Commit:
    """Decides and writes. `banks`: the regions of A and B; `chunk`: a buffer; images are read
    into its first half, and what is written is compared through its end; `attempts`: hard resets
    that a trial may see; `progress`: bytes staged between two staging records."""

    def __init__(
        self,
        superblocks: "Superblocks",
        banks: "Sequence[Region]",
        record: StagingRecord,
        values: "SavedValues",
        chunk: memoryview,
        attempts: int,
        progress: int,
    ) -> None:
        self._superblocks = superblocks
        self._banks = banks
        self._record = record
        self._values = values
        self._chunk = chunk[: len(chunk) // 2]
        self._compare = chunk
        self._attempts = attempts
        self._progress = progress
        self._readers = [BankReader(bank, self._chunk) for bank in banks]
        self._staging: "Staging | None" = None  # the newest; its `live` tells whether it counts

    @property
    def _state(self) -> "State":
        """The superblock's; ENODEV while there is none."""
        self._superblocks.require()
        return self._superblocks.state

    def _bank_state(self, bank: int) -> int:
        return self._state.states[bank - 1] if bank else EMPTY

    def _on_trial(self) -> bool:
        return self._state.active != NONE and self._bank_state(self._state.active) == TRIAL

    def reader(self, bank: int) -> BankReader:
        """R9, all but the images themselves: the reader of a bank that may boot, its directory
        open. ENOENT for no bank; EBADMSG if its state is neither trial nor confirmed, or the
        directory not the committed set's; EPERM below the epoch floor."""
        if bank == NONE:
            raise HsxError(ENOENT, "boot", "no set is active")
        if self._bank_state(bank) not in (TRIAL, CONFIRMED):
            raise HsxError(EBADMSG, "boot", "bank is neither on trial nor confirmed")
        reader = self._readers[bank - 1]
        reader.open(self._state.digests[bank - 1])
        if reader.epoch < self._state.floor:
            raise HsxError(EPERM, "boot", "epoch is below the floor")
        return reader

    def _fits(self, bank: int) -> "Generator[None, None, bool]":
        """R9, one chunk a step: whether a bank may boot, the CRC of every image included. EIO and
        ENODEV go on: a read error is not damage."""
        try:
            yield from self.reader(bank).check_all(False)
        except HsxError as error:
            if error.errno not in _DAMAGE:
                raise
            return False
        return True

    # ---- boot ---------------------------------------------------------------------------------

    def choose(self, hard: bool) -> int:
        """R9: the bank to try, or NONE. `hard`: the reset was no soft one. A trial that has used
        up its attempts is reverted; else a hard reset is counted before the set is tried."""
        state = self._state
        if not self._on_trial():
            return state.active
        if state.attempts >= self._attempts:
            self.revert()
        elif hard:
            state.attempts += 1
            self._superblocks.put(once=True)
        return state.active

    def run(self, bank: int, load: "Load") -> "Generator[None, None, int]":
        """Loads the set of `bank`, in steps, or the one that R9 and R10 put in its place when it
        is not whole or will not start; returns the bank that is loaded, or NONE.

        `load(reader)` reads every image of an open bank, in steps, and checks what it reads; what
        it raises means that this set can't run, but for EIO and ENODEV: a read error is not
        damage (R9). It is tried again, and then goes on to the caller; nothing is written."""
        failures = 0
        while bank != NONE:
            try:
                yield from load(self.reader(bank))
                return bank
            except OSError as error:
                if error.errno not in (EIO, ENODEV):
                    bank = yield from self.reject(bank)
                    continue
                failures += 1
                if failures == _TRIES:
                    raise
        return NONE

    def reject(self, bank: int) -> "Generator[None, None, int]":
        """The active `bank` is not whole, or its apps fault: R9 and R10 say what is next. In
        steps; returns the bank to try instead, or NONE: then a confirmed set stays as it is, and
        nothing runs."""
        state = self._state
        if bank != state.active or bank == NONE:
            return state.active
        if self._on_trial():
            self.revert()
            return state.active
        other = self._other(bank)
        if self._bank_state(other) != CONFIRMED or not (yield from self._fits(other)):
            return NONE
        state = self._state
        if bank != state.active or self._on_trial() or self._bank_state(other) != CONFIRMED:
            # Another change came while the bank was read: there is nothing to reject any more.
            return state.active
        # R10: no ping-pong. What is active and not on trial was confirmed.
        state.states[bank - 1] = after(_REJECT, CONFIRMED)
        state.active = other
        self._superblocks.put()
        return other

    def was_reverted(self, images: "list[Image]") -> bool:
        """Whether a bank holds the set of these images, reverted."""
        digest = BankWriter(self._banks[0], images, self._compare).digest
        state = self._state
        for bank in (BANK_A, BANK_B):
            if state.states[bank - 1] == REVERTED and state.digests[bank - 1] == digest:
                return True
        return False

    # ---- update -------------------------------------------------------------------------------

    def stage(self, images: "list[Image]") -> Staging:
        """Begins to stage a complete set, or takes up the same one where it was. R5: EBUSY on
        trial; the bank is declared empty before its first byte changes. EINVAL and ENOSPC as
        bank.lay_out."""
        bank = self._target()
        return self._stage(bank, BankWriter(self._banks[bank - 1], images, self._compare))

    def stage_stream(self, used: int, digest: bytes) -> Staging:
        """The same for a set that comes as the bytes of its bank, `used` of them; `digest`: of the
        set. Errors as `stage`, and as bank.StreamWriter."""
        bank = self._target()
        return self._stage(bank, StreamWriter(self._banks[bank - 1], used, digest, self._compare))

    def _stage(self, bank: int, writer: "BankWriter | StreamWriter") -> Staging:
        # A set that cannot be staged has ended before the declaration: it costs nobody a rollback.
        state = self._state
        self.forget()
        self._declare(bank)
        active = None
        if state.active != NONE:
            active = self._readers[state.active - 1]
            try:
                active.open(state.digests[state.active - 1])
            except HsxError as error:
                if error.errno != EBADMSG:
                    raise
                active = None
        self._staging = Staging(
            bank,
            state.decl,
            writer,
            self._readers[bank - 1],
            self._record,
            active,
            self._chunk,
            self._progress,
        )
        self._staging.begin(self._record.counts(state, bank))
        return self._staging

    def commit(self, staging: Staging) -> None:
        """R8: makes the staged set the active one, on trial. Verifies it first, unless `end()`
        did since the last write."""
        state = self._state
        if self._on_trial() or staging is not self._staging or not staging.live:
            raise HsxError(EBUSY, "commit", "staging is over")
        if not staging.verified:
            for _ in staging.end():
                pass
        if staging.epoch < state.floor:
            raise HsxError(EPERM, "commit", "epoch is below the floor")
        self._values.flush()
        # V4: what earlier trials left behind must not come back when `ok` passes its tag.
        self._values.drop_rejected()
        bank = staging.bank
        state.states[bank - 1] = after(_COMMIT, state.states[bank - 1])
        state.digests[bank - 1] = staging.digest
        state.active = bank
        state.attempts = 0
        state.open = state.generation + 1
        staging.live = False
        self._superblocks.put()

    # ---- trial --------------------------------------------------------------------------------

    def confirm(self, floor: int = 0) -> None:
        """R10: the set on trial is good. `floor`: raises the epoch floor to this, but not above
        the epoch of the set."""
        state = self._state
        bank = state.active
        if not self._on_trial():
            raise HsxError(EBUSY, "commit", "no set is on trial")
        epoch = self.reader(bank).epoch
        state.states[bank - 1] = after(_CONFIRM, TRIAL)
        state.ok = state.open
        state.open = 0
        state.floor = max(state.floor, min(floor, epoch))
        self._superblocks.put()

    def revert(self) -> None:
        """R10: the set on trial is given up; the confirmed bank, or none, is active again, and
        with `open` gone each value is what it was before the trial."""
        state = self._state
        bank = state.active
        if not self._on_trial():
            raise HsxError(EBUSY, "commit", "no set is on trial")
        self._values.drop_pending()
        other = self._other(bank)
        state.states[bank - 1] = after(_REVERT, TRIAL)
        state.active = other if self._bank_state(other) == CONFIRMED else NONE
        state.open = 0
        self._superblocks.put()

    def rollback(self) -> "Iterator[None]":
        """R10: back to the previous set: on trial a revert; between two confirmed sets a swap that
        keeps the values. In steps. ENOENT without another confirmed set, EBADMSG if it may not
        boot."""
        if self._on_trial():
            self.revert()
            return
        state = self._state
        other = self._other(state.active)
        if state.active == NONE or self._bank_state(other) != CONFIRMED:
            raise HsxError(ENOENT, "commit", "there is no previous set")
        if not (yield from self._fits(other)):
            raise HsxError(EBADMSG, "commit", "previous set may not boot")
        state = self._state
        if self._other(state.active) != other or self._bank_state(other) != CONFIRMED:
            raise HsxError(EBUSY, "commit", "another change came while the set was read")
        state.active = other
        self._superblocks.put()

    def purge(self) -> None:
        """Both banks are empty and none is active; floor, counters and values stay. EBUSY on
        trial."""
        state = self._state
        if self._on_trial():
            raise HsxError(EBUSY, "commit", "a set is on trial")
        state.states = [after(_PURGE, before) for before in state.states]
        state.digests = [NO_DIGEST, NO_DIGEST]
        state.active = NONE
        state.decl = state.generation + 1
        self.forget()
        self._superblocks.put()

    def forget(self) -> None:
        """Ends the staging that is under way, if there is one."""
        if self._staging is not None:
            self._staging.live = False

    # ---- inside -------------------------------------------------------------------------------

    def _other(self, bank: int) -> int:
        return BANK_A if bank == BANK_B else BANK_B

    def _target(self) -> int:
        """R5: the inactive bank; with none active an empty one, else any that is not confirmed.
        EBUSY on trial."""
        if self._on_trial():
            raise HsxError(EBUSY, "begin", "a set is on trial")
        active = self._state.active
        if active != NONE:
            return self._other(active)
        for wanted in (EMPTY, REVERTED):
            for bank in (BANK_A, BANK_B):
                if self._bank_state(bank) == wanted:
                    return bank
        raise HsxError(EBUSY, "begin", "both banks are confirmed")

    def _declare(self, bank: int) -> None:
        """R5: before the bank's first byte changes, the superblock says that it holds nothing."""
        state = self._state
        if state.states[bank - 1] == EMPTY:
            return
        state.states[bank - 1] = after(_DECLARE, state.states[bank - 1])
        state.digests[bank - 1] = NO_DIGEST
        state.decl = state.generation + 1
        self._superblocks.put()
