# SPDX-License-Identifier: MIT
"""Loads: the service's loads into the VM, whatever brings their bytes (spec/provisioning.md 2, 7).

A load begins with `begin`, takes bytes by `write`, in any pieces, and ends with `end` or `abort`;
one that nobody steps ends by itself. Several may be on their way at once, each with its PID.
"""

from micropython import const

from .. import ticks
from ..errors import EBUSY, ENODEV, ENOENT, ENOTSUP, ESRCH, HsxError
from ..node import tasks as t
from .session import Session
from .work import Work

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..contracts import Clock
    from ..node.node import Node
    from .events import Events
    from .policy import Policy

_SECOND = const(1000)  # ms
_FAREWELL = const(300)  # ms between a command and the reset that it asks for
_TOLD = const(4)  # refusals in a second
_REMEMBERED = const(2)  # loads that have failed, so that `status` can tell why


class Loads:
    """What a board without a store has; `service.provisioning.Provisioning` keeps sets besides.
    `write_ms`: longest pause between two pieces; `total_ms`: longest time of a load (P-41)."""

    KEEPS_SETS = False
    # Resets the node, with True into the safe mode. None: it can't.
    reset: "Any" = None
    transfer: "Any" = None  # the service.transfer.Transfer that is on its way
    refused = 0  # requests of hosts, in the second that began at `_second`
    _reset_at = -1  # tick at which a host wants it, -1: none does
    _into_safe = False

    def __init__(
        self,
        node: "Node",
        events: "Events",
        clock: "Clock",
        policy: "Policy",
        write_ms: int = 3000,
        total_ms: int = 600000,
    ) -> None:
        self.node = node
        self.events = events
        self.clock = clock
        self.policy = policy
        self.write_ms = write_ms
        self.total_ms = total_ms
        self._sessions: "list[Session]" = []
        self._failed: "list[Session]" = []
        self.work = Work()
        self._second = clock()
        # What the boot tried: source, result, errno's name, detail, ms (boot.report).
        self.report: "list[tuple[str, str, str, str, int]]" = []

    def begin(
        self,
        source: str,
        total: int = -1,
        version: str = "",
        pid: int = 0,
        fixed_pid: bool = False,
        **options: "Any",
    ) -> "Session":
        """A load from `source`, as `ps` shows it; `total`: bytes to come, -1 if unknown;
        `version`: what the image must say of itself, "" for anything; `pid`: the wanted one, 0 for
        any. If that is in use another one is taken, or with `fixed_pid` EBUSY raised (P-71).
        `options` as for node.loading.Loading. ENOSPC: no PID is free. EBUSY while the set that
        runs is being changed."""
        self.work.ask()
        if fixed_pid or pid not in self.node.vm.pids():
            options["pid"] = pid
        return Session(self, source, total, version, options)

    def begun(self, session: "Session") -> None:
        """A session says that it is on its way."""
        self._sessions.append(session)

    def session(self, pid: int) -> "Session":
        """The load under a PID. ESRCH."""
        for session in self._sessions:
            if session.pid == pid:
                return session
        raise HsxError(ESRCH, "write", "no load has this PID")

    def write(self, pid: int, view: "memoryview", offset: int = -1) -> int:
        """Session.write. A PID that runs already is EBUSY, an unknown one ESRCH (P-13)."""
        return self._known(pid).write(view, offset)

    def end(self, pid: int) -> int:
        """Session.end; errors as `write`."""
        return self._known(pid).end()

    def abort(self, pid: int) -> None:
        """Session.abort; errors as `write`."""
        self._known(pid).abort()

    def load_status(self, pid: int) -> "dict[str, Any]":
        """Session.status of a load that is on its way or has failed; READY for a task that is
        loaded. ESRCH."""
        for session in self._sessions + self._failed:
            if session.pid == pid:
                return session.status()
        return {"state": "READY", "source": self.node.tasks.find(pid).source}

    def ended(self, session: "Session") -> None:
        """A session says that it is over."""
        if session in self._sessions:
            self._sessions.remove(session)
        if session.failed is not None:
            self._failed.insert(0, session)
            del self._failed[_REMEMBERED:]

    def close(self) -> None:
        """Before a reset that is asked for."""

    def poll(self, now: int) -> None:
        """Ends the loads that have stood still for too long."""
        if self._reset_at >= 0 and ticks.reached(now, self._reset_at):
            self._reset_at = -1
            self.reset(self._into_safe)
        at = len(self._sessions)
        while at:
            at -= 1
            self._sessions[at].poll(now)

    def tell_refusal(self, kind: str, data: "dict[str, Any]") -> None:
        """An event about what was refused to a host. Of those of one second only the first are
        told: who keeps trying must not push everything else out of the log."""
        now = self.clock()
        if ticks.diff(now, self._second) >= _SECOND:
            self._second = now
            self.refused = 0
        self.refused += 1
        if self.refused <= _TOLD:
            self.events.emit(kind, 0, data)

    def reset_later(self, safe: bool) -> None:
        """Resets the node as soon as the reply to who asked for it is out; `safe`: into the safe
        mode. ENOTSUP: the board can't."""
        if self.reset is None:
            raise HsxError(ENOTSUP, "begin", "this node can't reset itself")
        self._reset_at = ticks.add(self.clock(), _FAREWELL)
        self._into_safe = safe

    def require_no_transfer(self) -> None:
        """EBUSY while one is on its way."""
        if self.transfer is not None:
            raise HsxError(EBUSY, "begin", "another transfer is on its way")

    def cancel(self) -> None:
        """Ends the transfer that is on its way, whichever link it comes by. ENOENT: none is."""
        if self.transfer is None:
            raise HsxError(ENOENT, "begin", "no transfer is on its way")
        self.transfer.abort()

    def keeper(self) -> "Any":
        """The Provisioning that this is. ENODEV on a board without a store."""
        if not self.KEEPS_SETS:
            raise HsxError(ENODEV, "begin", "the board has no store")
        return self

    def probe(self) -> int:
        """As Store.probe; 0 on a board without a store."""
        return 0

    def kill(self, pid: int) -> None:
        """Node.kill. EBUSY while the set that runs is being changed."""
        self.work.ask()
        self.node.kill(pid)

    def free(self, app: str) -> None:
        """Ends the tasks of an app, so that another image of it can take their place. EBUSY
        (`pid_locked`) for one under debug (P-45), and while the set that runs is being changed:
        nothing has ended then."""
        self.work.ask()
        found = [task for task in self.node.tasks.order if task.app == app]
        for task in found:
            self.node.require_unlocked(task)
        for task in found:
            if task.state != t.LOADING:
                self.node.kill(task.pid)

    def _known(self, pid: int) -> "Session":
        for session in self._sessions:
            if session.pid == pid:
                return session
        self.node.tasks.find(pid)
        raise HsxError(EBUSY, "write", "this PID is not being loaded")
