# SPDX-License-Identifier: MIT
"""Transfer: where what a link receives goes (`contracts.Sink`): into the VM, or into the bank.

Each link has one; a node takes one transfer at a time. A stream that is staged is the content of
the bank, directory first, so that its blocks may come in any order and the node need not know its
images before they are there; one that is loaded is the image.
"""

from micropython import const

from ..errors import EBADMSG, EBUSY, EIO, HsxError, heap_full, name
from ..link import command as c

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from ..store.staging import Staging
    from .loads import Loads
    from .session import Session
    from .signed_commands import SignedCommands

_DIGEST = const(16)  # bytes of a set's
_ERROR = "provisioning.error"


class Transfer:
    """`commands` judges the header of each stream."""

    def __init__(self, loads: "Loads", commands: "SignedCommands") -> None:
        self._loads = loads
        self._commands = commands
        self._command = b""
        self._source = ""
        self._session: "Session | None" = None  # of an image
        self._staging: "Staging | None" = None  # of a set
        self._steps: "Iterator[None] | None" = None  # of its end
        self._over = False  # the set runs already: nothing is written
        self.needs_order = False
        self.digest = b""

    def begin(self, header: "memoryview", total: int, source: str) -> int:
        """Bytes of the stream that are in place from its start; -errno: as SignedCommands.judge,
        and EBADMSG, EBUSY, ENODEV, ENOSPC."""
        self.abort()
        self._source = source
        return self._tried(self._begin, bytes(header[: c.SIZE]), total, source)

    def write(self, offset: int, data: "memoryview") -> int:
        """0; -errno: the transfer is over, and of an image nothing is left."""
        before = self._loads.events.seq
        try:
            self._write(offset, data)
        except (OSError, MemoryError) as error:
            return self._refused(error, before)
        return 0

    def holds(self, offset: int, size: int) -> bool:
        """Whether these bytes are in place, or will be: carried over from the set that runs."""
        staging = self._staging
        return self._over or staging is not None and staging.holds(offset, offset + size)

    def end(self) -> int:
        """0: `poll` says what becomes of it; -errno."""
        return self._tried(self._end)

    def poll(self, now: int) -> int:
        """One bounded step of the end: 1 if there are more, 0 if all is done, -errno."""
        return self._tried(self._step)

    def abort(self) -> None:
        """Gives up; of a set all that is in place stays for the next try."""
        if self._session is not None:
            self._session.abort()
        if self._staging is not None:
            self._loads.keeper().give_up(self._staging)
        self._close()

    # ---- inside -------------------------------------------------------------------------------

    def _tried(self, call: "Callable[..., int]", *args: "Any") -> int:
        before = self._loads.events.seq
        try:
            return call(*args)
        except (OSError, MemoryError) as error:
            return self._refused(error, before)

    def _refused(self, error: "OSError | MemoryError", before: int) -> int:
        """Tells what was not told since event `before`, and gives up; the -errno."""
        refusal = error if isinstance(error, OSError) else heap_full("write")
        told = [event for event in self._loads.events.since(before) if event[2] == _ERROR]
        if not told:  # sessions and the keeper of the set tell their own
            data = {"phase": "FAILED", "source": self._source, "code": name(refusal.errno)}
            data["where"] = getattr(refusal, "where", "write")
            data["detail"] = getattr(refusal, "detail", "error of the medium")
            self._loads.tell_refusal(_ERROR, data)
        self.abort()
        return -(refusal.errno or EIO)

    def _close(self) -> None:
        self._session = self._staging = self._steps = None
        self._over = False
        if self._loads.transfer is self:
            self._loads.transfer = None

    def _begin(self, command: bytes, total: int, source: str) -> int:
        loads = self._loads
        loads.require_no_transfer()
        loads.work.ask()
        if self._runs(command):
            # Its answer was lost: it is told again, whatever its counter says now.
            self._over = True
            self.needs_order = False
            return total
        self._commands.judge(command)
        if c.total(command) != total or command[4] not in (c.LOAD, c.STAGE):
            raise HsxError(EBADMSG, "begin", "command is not about this stream")
        self._command = command
        self.needs_order = command[4] == c.LOAD
        acts_on = command[c.AT_OBJECT : c.BODY]
        if self.needs_order:
            self.digest = acts_on
            self._session = loads.begin(source, total, sha256=acts_on)
            loads.transfer = self
            return 0
        self.digest = acts_on[:_DIGEST]
        self._staging = loads.keeper().stage_stream(total, self.digest, source)
        loads.transfer = self
        return self._staging.done

    def _runs(self, command: bytes) -> bool:
        """Whether the command asks for the set that runs."""
        if len(command) != c.SIZE or command[4] != c.STAGE or not self._loads.KEEPS_SETS:
            return False
        self.digest = command[c.AT_OBJECT : c.AT_OBJECT + _DIGEST]
        return self.digest == self._loads.keeper().active_digest()

    def _write(self, offset: int, data: "memoryview") -> None:
        if self._staging is not None:
            self._staging.put(offset, data)
            self._loads.keeper().progress(self._staging)
        elif self._session is not None:
            self._session.write(data, offset)
        elif not self._over:
            raise HsxError(EBUSY, "write", "no transfer is on its way")

    def _end(self) -> int:
        if self._staging is not None:
            self._steps = self._loads.keeper().end_staging(self._staging)
        elif self._session is not None:
            self._commands.consume(self._command)
            self._loads.node.start(self._session.end())
        elif not self._over:
            raise HsxError(EBUSY, "end", "no transfer is on its way")
        return 0

    def _step(self) -> int:
        if self._staging is None and self._session is None and not self._over:
            raise HsxError(EBUSY, "end", "no transfer is on its way")
        if self._steps is not None and self._staging is not None:
            try:
                next(self._steps)
                return 1
            except StopIteration:
                pass
            activate = self._command[5] & c.FLAG_ACTIVATE
            work = self._loads.work
            if activate and work.is_busy():
                return 1  # what is committed now could not be started
            self._commands.consume(self._command)
            if activate:
                keeper = self._loads.keeper()
                keeper.commit(self._staging)
                work.change(keeper.run_active())
        self._close()
        return 0
