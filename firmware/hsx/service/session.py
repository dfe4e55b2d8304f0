# SPDX-License-Identifier: MIT
"""Session: one image on its way into the VM, with its state, its limits and its events.

States are those of spec/provisioning.md section 3. `_AFTER` is the only place that knows which may
follow which; whatever it does not list is refused with EBUSY and changes nothing (P-15).

Events are those of section 12: `provisioning.started`, `.progress` (not more often than
PROGRESS_MS, and at the end of a known length), `.complete`; `.error` then `.aborted` when
something fails (P-84). All of them have the fields `phase` and `source`.
"""

import gc

from micropython import const

from .. import errors, ticks
from ..errors import EBUSY, EINVAL, ETIMEDOUT, HsxError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..contracts import ReadInto
    from .loads import Loads

PROGRESS_MS = const(250)  # between two progress events of a session (P-82)

IDLE = const(0)  # nothing is held: before the begin, and once a failure has been cleaned up
LOADING = const(1)
VERIFY = const(2)
READY = const(3)  # the task is LOADED
FAILED = const(4)  # refused; about to give everything back
ABORTING = const(5)  # given up; about to give everything back

STATES = ("IDLE", "LOADING", "VERIFY", "READY", "FAILED", "ABORTING")

BEGIN = const(0)
WRITE = const(1)
END = const(2)
GOOD = const(3)  # the checks of the end have passed
ERROR = const(4)
ABORT = const(5)
PURGED = const(6)  # memory, PID and name are back

# State after, by state and event; -1: refused.
_AFTER = (
    (LOADING, -1, -1, -1, -1, -1, -1),  # IDLE
    (-1, LOADING, VERIFY, -1, FAILED, ABORTING, -1),  # LOADING
    (-1, -1, -1, READY, FAILED, ABORTING, -1),  # VERIFY
    (-1, -1, -1, -1, -1, -1, -1),  # READY
    (-1, -1, -1, -1, -1, -1, IDLE),  # FAILED
    (-1, -1, -1, -1, -1, -1, IDLE),  # ABORTING
)


def after(state: int, event: int) -> int:
    """The state that follows; EBUSY where none does."""
    result = _AFTER[state][event]
    if result < 0:
        raise HsxError(EBUSY, "write", "the load is not in the state for this")
    return result


class Session:
    """Made by `Loads.begin`, which says what the arguments are; begins at once."""

    def __init__(
        self, loads: "Loads", source: str, total: int, version: str, options: "dict[str, Any]"
    ) -> None:
        # What is kept from now on (events, a task, its metadata) then lies low in the heap, and
        # what is free stays one piece: 18 KiB of 28 after 100 loads in a row, without this 1 KiB.
        gc.collect()
        self._loads = loads
        self._source = source
        self.total = total  # bytes, -1: unknown
        self.done = 0  # bytes of the image that are in
        self.state = IDLE
        self.failed: "OSError | None" = None  # why it is not READY
        self.pid = 0
        self.started = self.touched = self._told = loads.clock()  # ticks: begin, step, event
        try:
            admission = loads.policy.admission(version)
            self._loading = loads.node.load_begin(source, admission=admission, **options)
        except (OSError, MemoryError) as error:
            refusal = error if isinstance(error, OSError) else errors.heap_full("begin")
            self._tell_error(refusal, "begin")
            raise refusal
        self.pid = self._loading.pid
        try:
            loads.begun(self)
            self._go(BEGIN)
            self._tell("started", {"total_bytes": total} if total >= 0 else {})
        except MemoryError:
            self._loading.abort()
            loads.ended(self)
            raise errors.heap_full("begin")

    # ---- the bytes ----------------------------------------------------------------------------

    @property
    def open(self) -> bool:
        """Whether bytes may still come."""
        return self.state == LOADING

    def write(self, view: "memoryview", offset: int = -1) -> int:
        """Takes bytes at `offset` of the image, by default the next ones; returns how many of the
        image are in. What is there already is passed over (P-40); EINVAL where some are missing
        before it: nothing has changed, and `done` says where to go on.

        Raises EBADMSG, ENOSPC, EEXIST, what the policy raises (everything has been given back),
        EBUSY."""
        self.touched = self._loads.clock()
        after(self.state, WRITE)
        done = self.done
        if offset >= 0 and offset != done:
            if offset > done:
                raise HsxError(EINVAL, "write", "bytes are missing before these", offset=done)
            view = view[done - offset :]  # empty if all of it is there
        if len(view):
            self._guarded(self._loading.write, view)
            self.done = done + len(view)
            self._progress()
        return self.done

    def end(self) -> int:
        """Checks the whole image; the PID of the task, which is LOADED. Raises as `write`."""
        self.touched = self._loads.clock()
        self._go(END)
        self._guarded(self._loading.end)
        self._go(GOOD)
        self._loads.ended(self)
        self._tell("complete", {"ready": True, "bytes_written": self.done})
        return self.pid

    def step(self, readinto: "ReadInto", buf: "memoryview") -> bool:
        """Moves one chunk on from `readinto(buf) -> bytes read, 0 at the end`; True while there
        is more to do. When it gives False the image is LOADED as `pid`. After an error everything
        has been given back."""
        got = self._guarded(readinto, buf)
        if got:
            self.write(buf if got == len(buf) else buf[:got])
            return True
        self.end()
        return False

    def abort(self) -> None:
        """Gives everything back (P-91); a session that has ended is left alone."""
        if self.state == LOADING or self.state == VERIFY:
            self._go(ABORT)
            self._purge()

    def poll(self, now: int) -> None:
        """Gives the load up when it has stood still, or taken, too long (P-41, P-42)."""
        late = ""
        if ticks.diff(now, self.touched) > self._loads.write_ms:
            late = "no bytes came for too long"
        elif ticks.diff(now, self.started) > self._loads.total_ms:
            late = "the load takes too long"
        if late:
            self._fail(HsxError(ETIMEDOUT, "write", late))

    def status(self) -> "dict[str, Any]":
        """P-8: `state`, `bytes`, `total` (-1: unknown), `percent` (-1: unknown), `source`; after a
        failure `code`, `where`, `detail`."""
        facts: "dict[str, Any]" = {"state": STATES[self.state], "source": self._source}
        facts["bytes"] = self.done
        facts["total"] = self.total
        facts["percent"] = min(100, self.done * 100 // self.total) if self.total > 0 else -1
        if self.failed is not None:
            facts["state"] = STATES[FAILED]
            facts.update(_reason(self.failed, "write"))
        return facts

    # ---- inside -------------------------------------------------------------------------------

    def _go(self, event: int) -> None:
        self.state = after(self.state, event)

    def _guarded(self, call: "Any", *args: "Any") -> "Any":
        """`call(*args)`; whatever it raises ends the session first."""
        try:
            return call(*args)
        except OSError as error:
            self._fail(error)
            raise
        except MemoryError:
            refusal = errors.heap_full("write")
            self._fail(refusal)
            raise refusal
        except BaseException:
            self.abort()
            raise

    def _fail(self, error: "OSError") -> None:
        if self.state != LOADING and self.state != VERIFY:
            return
        self.failed = error
        self._go(ERROR)
        self._tell_error(error, "write")
        self._purge()

    def _purge(self) -> None:
        self._loading.abort()
        self._tell("aborted", {}, STATES[ABORTING])
        self._go(PURGED)
        self._loads.ended(self)

    def _progress(self) -> None:
        total = self.total
        done = self.done
        if done != total and ticks.diff(self.touched, self._told) < PROGRESS_MS:
            return
        self._told = self.touched
        data = {"bytes_written": done}
        if total > 0:
            data["total_bytes"] = total
            data["percent"] = min(100, done * 100 // total)
        self._tell("progress", data)

    def _tell_error(self, error: "OSError", where: str) -> None:
        self._tell("error", _reason(error, where), STATES[FAILED])

    def _tell(self, kind: str, data: "dict[str, Any]", phase: str = "") -> None:
        data["phase"] = phase or STATES[self.state]
        data["source"] = self._source
        self._loads.events.emit("provisioning." + kind, self.pid, data)


def _reason(error: "OSError", where: str) -> "dict[str, Any]":
    return {
        "code": errors.name(error.errno),
        "where": getattr(error, "where", where),
        "detail": getattr(error, "detail", "read error of the medium"),
    }
