# SPDX-License-Identifier: MIT
"""Node: the VM with its tasks, as the layers above see it."""

from micropython import const

from .. import native
from ..errors import EBUSY, EINVAL, EIO, ENOENT, EPERM, HsxError
from . import tasks as t
from . import values as v
from .loading import Loading
from .scheduler import Scheduler
from .svc import Svc

_OWNER = const(256)  # values.OWNER; the compiler knows only a module's own constants

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..contracts import CanSink, Clock, Emit, Provisioner, ReadInto, SavedBits, TextSink
    from ..image.sections import Metadata
    from .commands import Commands
    from .mailboxes import Mailboxes


class Node:
    """`vm`: a `native.VM`. `clock()`: ticks (hsx.ticks). `emit(type, pid, data)` gets what happens
    (`task` events: data has `state` and `instance`, and `stop` for an end). The other arguments
    are those of `Svc`, `Scheduler` and `Values`.
    """

    def __init__(
        self,
        vm: "native.VM",
        clock: "Clock",
        stdout: "TextSink | None" = None,
        can_tx: "CanSink | None" = None,
        emit: "Emit | None" = None,
        io_size: int = 256,
        slice_ms: int = 5,
        saved: "SavedBits | None" = None,
    ) -> None:
        self.vm = vm
        self.tasks = t.Tasks()
        self.clock = clock
        self.values = v.Values(clock, emit, saved)
        self.commands: "Commands | None" = None  # made when the first one comes
        self.mailboxes: "Mailboxes | None" = None  # likewise
        self.svc = Svc(self, stdout, can_tx, io_size)
        self.scheduler = Scheduler(vm, self.tasks, self.svc, clock, self._changed, slice_ms)
        self.emit = emit
        self.provisioner: "Provisioner | None" = None  # what does module 9 for apps

    def load_begin(self, source: str, label: str = "", **options: "Any") -> "Loading":
        """A new Loading; `options` as there. ENOSPC: no PID is free."""
        return Loading(self, source, label, **options)

    def load(self, source: str, readinto: "ReadInto", buf: "memoryview", **options: "Any") -> int:
        """Streams an image from `readinto(buf) -> bytes read, 0 at the end`, in pieces of
        `len(buf)`. Returns the PID of the LOADED task. Raises as Loading does, and what
        `readinto` raises; then nothing is left behind."""
        loading = self.load_begin(source, **options)
        try:
            while True:
                got = readinto(buf)
                if not got:
                    break
                loading.write(buf if got == len(buf) else buf[:got])
        except BaseException:
            loading.abort()
            raise
        return loading.end()

    def start(self, pid: int) -> None:
        """LOADED becomes READY. ESRCH; EBUSY in any other state."""
        task = self.tasks.find(pid)
        if task.state != t.LOADED:
            raise HsxError(EBUSY, "begin", "the task is not waiting to start")
        task.state = t.READY
        self._changed(task)

    def kill(self, pid: int) -> None:
        """Ends a task and gives back its memory, its PID, its name and all that it has
        declared. ESRCH; EBUSY for one that is still being loaded (abort the load) or
        under debug."""
        task = self.tasks.find(pid)
        if task.state == t.LOADING:
            raise HsxError(EBUSY, "begin", "the task is being loaded")
        self.require_unlocked(task)
        self.vm.unload(pid)
        self.tasks.remove(task)
        self.drop(pid)
        if self.emit is not None:
            self.emit("task", pid, {"state": "killed", "instance": task.instance})

    def lock(self, pid: int, locked: bool = True) -> None:
        """A debugger takes hold of a task, or lets it go: until then nothing ends or replaces it
        but `stop` (P-45). ESRCH."""
        self.tasks.find(pid).locked = locked

    def require_unlocked(self, task: "t.Task") -> None:
        """EBUSY for a task under debug, in the words of the reference."""
        if task.locked:
            raise HsxError(EBUSY, "begin", "pid_locked:%d" % task.pid)

    def declare(self, pid: int, metadata: "Metadata") -> None:
        """Registers what the image of a task declares. ENOSPC, EBADMSG: the caller drops the
        PID."""
        if metadata.mailboxes:
            from . import mailboxes

            mailboxes.of(self).check(pid, metadata.mailboxes)
        if metadata.commands:
            from . import commands

            commands.of(self).declare(pid, metadata.commands)
        self.values.declare(pid, metadata.values)
        if metadata.mailboxes:
            # Last, because what it does to mailboxes of others can't be taken back.
            mailboxes.of(self).declare(pid, metadata.mailboxes)
        if metadata.commands and self.emit is not None:
            self.emit("cmd_registered", pid, {"count": len(metadata.commands)})

    def drop(self, pid: int) -> None:
        """Forgets all that a task has declared, registered and opened."""
        self.values.drop(pid)
        if self.commands is not None:
            self.commands.drop(pid)
        if self.mailboxes is not None:
            from . import svc_mailbox

            self.mailboxes.drop(pid)
            svc_mailbox.wake(self.svc)

    def stop(self) -> None:
        """Ends all tasks, last started first, as for a soft reset."""
        for pid in sorted([task.pid for task in self.tasks.order], reverse=True):
            self.lock(pid, False)
            if self.tasks.find(pid).state != t.LOADING:
                self.kill(pid)

    @property
    def saved(self) -> "SavedBits | None":
        """What keeps values over power-off; None: nothing does. May be put in at any time, and
        holds for what is loaded from then on."""
        return self.values.saved

    @saved.setter
    def saved(self, saved: "SavedBits | None") -> None:
        self.values.saved = saved

    def get_value(self, pid: int, oid: int, auth: int = _OWNER) -> int:
        """The f16 bits of a task's value, as `auth` may read it. ENOENT, EPERM."""
        bits = self.values.get(pid, oid, auth) if 0 <= oid <= 0xFFFF else -v.ENOENT
        if bits < 0:
            raise _refusal(-bits)
        return bits

    def set_value(self, pid: int, oid: int, bits: int, auth: int = _OWNER) -> None:
        """Sets a task's value, as `auth` may; an event tells the change. ENOENT, EPERM, EBUSY as
        `Values.set`; EINVAL: not 16 bits, or outside the range that the app has declared, which
        holds for all but the app itself."""
        if not 0 <= bits <= 0xFFFF:
            raise HsxError(EINVAL, "begin", "an f16 has 16 bits")
        old = self.get_value(pid, oid, auth)
        if self.values.is_outside(pid, oid, bits):
            raise HsxError(EINVAL, "begin", "the number is outside the value's range")
        status = self.values.set(pid, oid, bits, auth)
        if status != v.OK:
            raise _refusal(status)
        if self.emit is not None and self.values.get(pid, oid) != old:
            self.emit("value_changed", pid, {"oid": oid, "old": old, "new": bits})

    def call(
        self, pid: int, oid: int, token: "str | None" = None, auth: int = _OWNER
    ) -> "int | None":
        """Calls a command of a running task, as `auth` may; an event tells how it ended. Gives R0
        of its handler, None for a command without one. ESRCH, ENOENT, EPERM, EBUSY (the task does
        not run); EIO: the handler did not return, the task goes on as if it had not run."""
        task = self.tasks.find(pid)
        if self.commands is None or not 0 <= oid <= 0xFFFF or not self.commands.has(pid, oid):
            raise HsxError(ENOENT, "begin", "the task has no such command")
        if task.state not in (t.READY, t.SLEEPING, t.WAITING):
            raise HsxError(EBUSY, "begin", "the task is not running")
        from . import svc_command

        status, result = svc_command.invoke(self.svc, task, oid, token, auth)
        if status == v.EPERM:
            raise HsxError(EPERM, "begin", "the command is above this level or needs its token")
        if self.emit is not None:
            self.emit("cmd_completed", pid, {"oid": oid, "status": status, "result": result})
        if status != v.OK:
            raise HsxError(EIO, "begin", "the command did not return")
        return result

    def poll(self, now: int) -> int:
        """One bounded slice; returns milliseconds until the next call is wanted."""
        return self.scheduler.poll(now)

    def ps(self) -> "list[dict[str, Any]]":
        """One dict a task, by PID, with the field names of spec/hxe_v2.md section 10."""
        rows = [self.row(task) for task in self.tasks.order]
        rows.sort(key=lambda row: row["pid"])
        return rows

    def row(self, task: "t.Task") -> "dict[str, Any]":
        """One row of ps()."""
        loaded = task.state != t.LOADING
        vm = self.vm
        return {
            "pid": task.pid,
            "program": task.source,
            "state": t.STATES[task.state],
            "app_name": task.instance,
            "app_name_base": task.app,
            "pc": vm.get(task.pid, native.PC) if loaded else 0,
            "priority": task.priority,
            "quantum": task.quantum,
            "accounted_steps": vm.get(task.pid, native.STEPS) if loaded else 0,
            "sleep_pending": task.state == t.SLEEPING,
            "exit_status": task.exit_code if task.exit_code >= 0 else None,
            "stop": t.stop_name(task.stop),
            "memory": vm.get(task.pid, native.ARENA) if loaded else 0,
            "values": self.values.count(task.pid),
            "commands": self.commands.count(task.pid) if self.commands else 0,
            "mailboxes": self.mailboxes.count(task.pid) if self.mailboxes else 0,
        }

    def _changed(self, task: "t.Task") -> None:
        if self.emit is not None:
            data: "dict[str, Any]" = {"state": t.STATES[task.state], "instance": task.instance}
            if task.stop:
                data["stop"] = t.stop_name(task.stop)
            if task.exit_code >= 0:
                data["exit_status"] = task.exit_code
            self.emit("task", task.pid, data)


def _refusal(status: int) -> "HsxError":
    if status == v.EPERM:
        return HsxError(EPERM, "begin", "the value is read-only or above this level")
    if status == v.EBUSY:
        return HsxError(EBUSY, "begin", "the value has just changed")
    return HsxError(ENOENT, "begin", "the task has no such value")
