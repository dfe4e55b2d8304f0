# SPDX-License-Identifier: MIT
"""Provisioning: the set of images that the node keeps, and the tasks that run it.

A set is staged beside the one that runs (`stage`, `Staging.write`, `end`), made the active one
(`activate`) and then on trial until it is confirmed, by a person or after a quiet time. What does
not start, faults while on trial or uses up its attempts gives way to the set before it. All
decisions about banks are those of `store.commit`; here they meet tasks and events.

A call that takes long is a generator of bounded steps, so that polls stay short. A call that
changes the set asks `Loads.work` first, so that nothing changes between two steps of another one.
"""

import binascii
import hashlib

from micropython import const

from .. import errors, ticks
from ..errors import EBADMSG, EBUSY, EIO, ENODEV, ENOENT, HsxError
from ..image.verify import Verification
from ..link.command import ACTIVATE, CONFIRM
from ..node import names
from ..node.tasks import stop_name
from ..store.store import BANK_NAMES
from ..store.superblock import BANK_A, BANK_B, NONE, TRIAL
from .loads import Loads
from .session import PROGRESS_MS
from .set_tasks import SetTasks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from typing import Any

    from ..contracts import Clock, ReadInto
    from ..node.node import Node
    from ..node.tasks import Task
    from ..store.bank import BankReader, Image
    from ..store.staging import Staging
    from ..store.store import Store
    from .events import Events
    from .policy import Policy

CONFIRM_MS = const(60000)  # how long a set on trial must run without a fault to confirm itself
ASKED = "asked for"  # the reason of a rollback that nothing forced

_TRIES = const(3)  # to read a medium at boot


def _never(name: str) -> bool:
    return False


def describing(
    policy: "Policy", readinto: "ReadInto", label: str, buf: "memoryview", version: str = ""
) -> "Generator[None, None, Image]":
    """The directory entry of the image that `readinto` gives, named after its app, or after
    `label` (a path); a buffer of it a step. EBADMSG for an image that breaks a rule; what the
    policy raises for one that this node would not run, or that says another `version`."""
    admission = policy.admission(version)
    verification = Verification(admission)
    digester = hashlib.sha256()
    crc = 0
    try:
        while True:
            got = readinto(buf) or 0
            if not got:
                break
            digester.update(buf[:got])
            crc = binascii.crc32(buf[:got], crc)
            verification.write(buf[:got])
            yield
        header, metadata, length = verification.end()
        admission.end(metadata)
    except HsxError as error:
        error.where = "verify"
        raise
    from ..store.entries import entry  # few nodes describe images: it costs heap

    name = names.base(header.app_name, label, 0)
    return entry(name, length, crc, digester.digest(), metadata, version)


def describe(
    policy: "Policy", readinto: "ReadInto", label: str, buf: "memoryview", version: str = ""
) -> "Image":
    """The same at once."""
    steps = describing(policy, readinto, label, buf, version)
    try:
        while True:
            next(steps)
    except StopIteration as end:
        return end.value


class _Judge:
    """Whether an image that was staged may be run: what a load of it would say, and that its
    directory entry tells the truth (`store.bank.Judge`)."""

    def __init__(self, policy: "Policy", image: "Image") -> None:
        self._image = image
        self._admission = policy.admission(image.version)
        self._verification = Verification(self._admission)
        self.write = self._verification.write

    def end(self) -> None:
        header, metadata, _ = self._verification.end()
        image, info = self._image, metadata.info
        stack = image.stack or (info.stack if info is not None else 0)
        heap = image.heap or (info.heap if info is not None else 0)
        self._admission.memory(header, stack, heap)
        self._admission.end(metadata)
        epoch = metadata.info.epoch if metadata.info is not None else 0
        if epoch != self._image.epoch or header.app_name not in ("", self._image.name):
            raise HsxError(EBADMSG, "verify", "directory tells the image otherwise")


class Provisioning(Loads):
    """The loads, and the set that the node keeps. `chunk`: the buffer that its images are loaded
    through. `confirm_ms`: see CONFIRM_MS. Calls about the set raise ENODEV while the medium holds
    no store."""

    KEEPS_SETS = True
    # Class attributes: an instance spends heap on those that it changes.
    _staging: "Staging | None" = None
    _source = "FRAM"  # where the set on its way comes from
    _told = 0  # tick of the last event about it

    def __init__(
        self,
        node: "Node",
        events: "Events",
        clock: "Clock",
        policy: "Policy",
        store: "Store",
        chunk: "memoryview",
        confirm_ms: int = CONFIRM_MS,
    ) -> None:
        # Without super(), whose closure would keep the class out of flash.
        Loads.__init__(self, node, events, clock, policy)
        policy.store = store
        self._store = store
        self._confirm_ms = confirm_ms
        self._tasks = SetTasks(self, chunk)
        self._on_trial = False  # whether the set that runs is
        self._since = 0  # tick at which it started
        # Whether a confirmed set that has faulted, and how, is to start again (boot.guard).
        self.again: "Callable[[str], bool]" = _never

    @property
    def store(self) -> "Store":
        """The store. ENODEV if it was never formatted, or the medium failed."""
        self._store.superblocks.require()
        return self._store

    # ---- boot and trial -----------------------------------------------------------------------

    def open(self) -> "Generator[None, None, bool]":
        """Opens the store; whether there is one. What is wrong with it is told."""
        store = self._store
        for left in range(_TRIES - 1, -1, -1):
            try:
                if not store.open():
                    self.events.warn(
                        "FRAM", HsxError(ENODEV, "boot", "there is no store: format it")
                    )
                    return False
                break
            except OSError as error:
                if not left or error.errno not in (EIO, ENODEV):
                    self.events.warn("FRAM", error)
                    return False
                yield
        self.node.saved = store.values
        return True

    def boot(self, hard: bool) -> "Generator[None, None, bool]":
        """Runs the active set of the opened store (R9); returns whether one runs. `hard`: the
        reset was no soft one."""
        if not self._store.valid:
            return False
        before = self.active()
        try:
            after = self._store.commit.choose(hard)
        except OSError as error:
            self.events.warn("FRAM", error)
            return False
        if after != before:
            self._tell_rollback(before, after, "attempts used up")
        return (yield from self.run_active())

    def poll(self, now: int) -> None:
        """Looks after the set on trial: confirms it when it has been quiet for long enough;
        begins its revert if one of its tasks has faulted. In between, the store's own small
        work."""
        Loads.poll(self, now)
        if self.work.is_busy() or not self._store.valid:
            return
        fault = self._tasks.faulted()
        if fault is not None and not self._tasks.locked():
            self.work.change(self._after_fault(fault))
            return
        if self._on_trial and fault is None and ticks.diff(now, self._since) >= self._confirm_ms:
            self._since = now  # if the medium fails now: tried again later
            try:
                self.confirm()
            except OSError as error:
                self.events.warn("FRAM", error)
        self._store.poll(now)

    def close(self) -> None:
        """Saves what waits, before a reset that is asked for."""
        try:
            self._store.close()
        except OSError as error:
            self.events.warn("FRAM", error)

    def probe(self) -> int:
        """As Store.probe."""
        return self._store.probe()

    # ---- staging ------------------------------------------------------------------------------

    def stage(self, images: "list[Image]", only: bool = False) -> "Staging":
        """Begins to stage the active set with `images` in the places of those of the same names,
        new ones behind; with `only`, nothing but `images`. Errors as `Commit.stage`; EBUSY too
        while the set that runs is being changed, or a link sends one."""
        self.work.ask()
        self.require_no_transfer()
        store = self.store
        new = list(images)
        whole: "list[Image]" = []
        state = store.superblocks.state
        if state.active != NONE and not only:
            reader = store.commit.reader(state.active)
            for index in range(reader.count):
                kept = reader.image(index)
                for image in new:
                    if image.name == kept.name:
                        kept = image
                        new.remove(image)
                        break
                whole.append(kept)
        return self._begun(store.commit.stage(whole + new), "FRAM")

    def stage_stream(self, total: int, digest: bytes, source: str) -> "Staging":
        """Begins to stage a set that comes as the `total` bytes of its bank, from `source`; its
        directory must hash to `digest`, 16 bytes. Errors as `Commit.stage_stream`; EBUSY too while
        the set that runs is being changed."""
        self.work.ask()
        return self._begun(self.store.commit.stage_stream(total, digest), source)

    def _begun(self, staging: "Staging", source: str) -> "Staging":
        self._staging = staging
        self._source = source
        self._told = self.clock()
        there = staging.done  # more than the directory if it goes on where it was
        self._tell(
            "provisioning.started", "LOADING", total_bytes=staging.total, bytes_written=there
        )
        return staging

    def progress(self, staging: "Staging") -> None:
        """Tells how far the set is, but not too often (P-82)."""
        now = self.clock()
        if staging.done != staging.total and ticks.diff(now, self._told) < PROGRESS_MS:
            return
        self._told = now
        done, total = staging.done, staging.total
        data = {"bytes_written": done, "total_bytes": total, "percent": done * 100 // total}
        self._tell("provisioning.progress", "LOADING", **data)

    def give_up(self, staging: "Staging") -> None:
        """Ends a staging; what is in place stays, and the same set goes on there."""
        if staging.live:
            staging.abort()
            self._tell("provisioning.aborted", "ABORTING", bytes_written=staging.done)

    def cancel(self) -> None:
        """As Loads.cancel; without a transfer the staged set is given up."""
        staging = self._staging
        if self.transfer is None and staging is not None and staging.live:
            self.give_up(staging)
        else:
            Loads.cancel(self)

    def end_staging(self, staging: "Staging") -> "Iterator[None]":
        """Reads the staged set back; then it may be activated. EBADMSG if it is not what was
        announced."""
        try:
            if staging.done < staging.total:
                yield from staging.carry_over()
            yield from staging.end(self._judged_by)
        except OSError as error:
            self._tell_failed(error, "verify")
            raise
        self._tell("provisioning.complete", "READY", ready=True, bytes_written=staging.total)

    def activate(self) -> "Generator[None, None, bool]":
        """Makes the staged set the active one, on trial, in one superblock write, and runs it in
        place of the one that ran. Returns whether a set runs: this one, or the one before if it
        will not start. EBUSY without a staged set, and while a link sends one."""
        self.require_no_transfer()
        staging = self._staging
        if staging is None or not staging.live:
            raise HsxError(EBUSY, "commit", "no set is staged")
        self._require_unlocked()
        if not staging.verified:
            yield from self.end_staging(staging)
        self.commit(staging)
        return (yield from self.run_active())

    def commit(self, staging: "Staging") -> None:
        """The one superblock write that makes a staged set the active one, on trial; it does not
        run yet. Errors as `Commit.commit`; EBUSY too while the set that runs is being changed."""
        self.work.ask()
        store = self.store
        try:
            store.commit.commit(staging)
        except OSError as error:
            # R3: a write that failed has happened or not; the superblock was read again.
            if not store.valid or store.superblocks.state.active != staging.bank:
                self._tell_failed(error, "commit")
                raise
        self._staging = None
        self._tell_persisted("trial")

    # ---- the set that runs --------------------------------------------------------------------

    def confirm(self, floor: int = 0) -> None:
        """The set on trial is good (R10). `floor`: raises the epoch floor to this, but not above
        the epoch of the set. EBUSY if none is on trial, or the set that runs is being changed."""
        self.work.ask()
        self.store.commit.confirm(floor)
        self._on_trial = False
        self._tell_persisted("confirmed")

    def revert(self, reason: str) -> "Generator[None, None, bool]":
        """Gives up the set on trial and runs the one before it; returns whether one runs. EBUSY
        if none is on trial."""
        self._on_trial = False
        store = self.store
        before = store.superblocks.state.active
        store.commit.revert()
        self._tell_rollback(before, store.superblocks.state.active, reason)
        return (yield from self.run_active())

    def reject(self, reason: str) -> "Generator[None, None, int]":
        """The active set faults: R10 says which bank is to run instead, or that none is."""
        self._on_trial = False
        self._tasks.stop()
        before = self.active()
        after = yield from self.store.commit.reject(before)
        self._tell_rollback(before, after, reason)
        return after

    def _after_fault(self, task: "Task") -> "Generator[None, None, bool]":
        """A task of the set has faulted: a trial is over, a confirmed set starts again as long as
        `again` says so; then the one before it runs, or none."""
        name = task.instance + " " + stop_name(task.stop)
        self.noted("task", name)
        if self._on_trial:
            return (yield from self.revert("task faulted"))
        if self.again(name):
            return (yield from self.run_active())
        after = yield from self.reject("task faulted")
        return after != NONE and (yield from self.run_active())

    def noted(self, kind: str, name: str) -> None:
        """Counts a boot fault (store.faults), and tells it if that can't be written."""
        store = self._store
        try:
            if store.valid:
                store.faults().note(kind, self.active(), name, store.superblocks.state.generation)
        except OSError as error:
            self.events.warn("FRAM", error)

    def boot_faults(self) -> "dict[str, Any]":
        """What boot faults were counted (store.faults)."""
        return self.store.faults().facts()

    def rollback(self) -> "Generator[None, None, bool]":
        """Back to the previous set (R10): on trial as `revert`, else a swap of two confirmed
        ones. Returns whether one runs. ENOENT if there is no previous set."""
        store = self.store
        self._require_unlocked()
        before = store.superblocks.state.active
        yield from store.commit.rollback()
        self._tell_rollback(before, store.superblocks.state.active, ASKED)
        return (yield from self.run_active())

    def valid(self) -> bool:
        """Whether there is a store."""
        return self._store.valid

    def has_banks(self) -> bool:
        """Whether there is a store that keeps sets."""
        return self._store.valid and self._store.layout.bank_size > 0

    def on_trial(self) -> bool:
        """Whether the active set is on trial."""
        return self.store.status()["state"] == "trial"

    def is_running(self) -> bool:
        """Whether a set runs."""
        return self._tasks.runs()

    def stop(self) -> None:
        """Ends the tasks of the set that runs."""
        self._tasks.stop()

    def images(self) -> "list[Image]":
        """The images of the active set. Errors as Commit.reader."""
        store = self.store
        reader = store.commit.reader(store.superblocks.state.active)
        return [reader.image(index) for index in range(reader.count)]

    def was_reverted(self, images: "list[Image]") -> bool:
        """Whether a set of these images is the one that was reverted last."""
        return self.store.commit.was_reverted(images)

    def active(self) -> int:
        """The bank that runs: 0 none, 1 A, 2 B."""
        return self.store.superblocks.state.active

    def active_digest(self) -> bytes:
        """Of the set that is active; empty without one."""
        state = self.store.superblocks.state
        return state.digests[state.active - 1] if state.active != NONE else b""

    def digest_for(self, action: int) -> bytes:
        """Of the set that a signed command about sets would act on (link.command): the staged
        one, the active one, or the one before. ENOENT if there is none."""
        state = self.store.superblocks.state
        if action == ACTIVATE:
            if self._staging is not None and self._staging.live:
                return self._staging.digest
        elif state.active != NONE:
            bank = state.active if action == CONFIRM else BANK_A + BANK_B - state.active
            return state.digests[bank - 1]
        raise HsxError(ENOENT, "begin", "there is no such set")

    def status(self) -> "dict[str, Any]":
        """Store.status(), and `staged`: bytes in place of the set on its way, `total`: of all,
        `ready`: it is whole and may be activated, `digest`: its own, b"" without one; `changing`:
        what runs is being changed, `runs`: a set does."""
        found = self.store.status()
        staging = self._staging
        live = staging is not None and staging.live
        found["staged"] = staging.done if staging is not None and live else 0
        found["total"] = staging.total if staging is not None and live else 0
        found["ready"] = staging is not None and live and staging.verified
        found["digest"] = staging.digest if staging is not None and live else b""
        found["changing"] = self.work.is_busy()
        found["runs"] = self.is_running()
        return found

    def slots(self) -> "list[dict[str, Any]]":
        """Store.slots()."""
        return self.store.slots()

    def format(self, confirmation: str) -> None:
        """Store.format(); the tasks of the set that runs go on until the next reset. EBUSY too
        while it is being changed, or a link sends one."""
        self.work.ask()
        self.require_no_transfer()
        self._store.format(confirmation)
        self._on_trial = False
        self._staging = None
        self.node.saved = self._store.values

    # ---- inside -------------------------------------------------------------------------------

    def _judged_by(self, image: "Image") -> "_Judge":
        return _Judge(self.policy, image)

    def _require_unlocked(self) -> None:
        """Nothing takes a task from a debugger (P-45)."""
        pid = self._tasks.locked()
        if pid:
            raise HsxError(EBUSY, "commit", "pid_locked:%d" % pid)

    def run_active(self) -> "Generator[None, None, bool]":
        """Runs the active set in place of the one that ran, or what takes its place."""
        self._on_trial = False
        store = self.store
        state = store.superblocks.state
        wanted = state.active
        try:
            bank = yield from store.commit.run(wanted, self._load)
        except OSError as error:
            self._tasks.stop()
            self.events.warn("FRAM", error)
            return False
        if bank != wanted:
            self._tell_rollback(wanted, bank, "set does not start")
        if bank == NONE:
            self._tasks.stop()
            return False
        self._tasks.start()
        self._on_trial = state.states[bank - 1] == TRIAL
        self._since = self.clock()
        return True

    def _load(self, reader: "BankReader") -> "Iterator[None]":
        bank = self.store.superblocks.state.active
        return self._tasks.load(reader, "FRAM:" + BANK_NAMES[bank] + "/")

    def _tell(self, kind: str, phase: str, **data: "Any") -> None:
        data["phase"] = phase
        data["source"] = self._source
        self.events.emit(kind, 0, data)

    def _tell_persisted(self, state: str) -> None:
        superblock = self.store.superblocks.state
        data: "dict[str, Any]" = {"slot": BANK_NAMES[superblock.active], "state": state}
        data["phase"] = "READY"
        data["generation"] = superblock.generation
        self.events.emit("provisioning.persisted", 0, data)

    def _tell_rollback(self, before: int, after: int, reason: str) -> None:
        data = {"from": BANK_NAMES[before], "to": BANK_NAMES[after], "reason": reason}
        data["phase"] = "READY" if reason == ASKED else "FAILED"
        self.events.emit("provisioning.rollback", 0, data)

    def _tell_failed(self, error: OSError, where: str) -> None:
        code, detail = errors.name(error.errno), getattr(error, "detail", "error of the medium")
        self._tell("provisioning.error", "FAILED", code=code, where=where, detail=detail)
