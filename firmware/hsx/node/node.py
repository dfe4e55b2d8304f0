# SPDX-License-Identifier: MIT
"""Node: the VM with its tasks, as the layers above see it."""

from .. import native
from ..errors import EBUSY, HsxError
from . import tasks as t
from .loading import Loading
from .scheduler import Scheduler
from .svc import Svc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..contracts import CanSink, Clock, Emit, ReadInto, TextSink


class Node:
    """`vm`: a `native.VM`. `clock()`: ticks (hsx.ticks). `emit(type, pid, data)` gets what happens
    (`task` events: data has `state` and `instance`, and `stop` for an end). The other arguments
    are those of `Svc` and `Scheduler`.
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
    ) -> None:
        self.vm = vm
        self.tasks = t.Tasks()
        self.svc = Svc(vm, stdout, can_tx, io_size)
        self.scheduler = Scheduler(vm, self.tasks, self.svc, clock, self._changed, slice_ms)
        self._emit = emit

    def load_begin(self, source: str, label: str = "", **options: "Any") -> "Loading":
        """A new Loading; `options` as there. ENOSPC: no PID is free."""
        return Loading(self.vm, self.tasks, source, label, **options)

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
        """Ends a task and gives back its memory, its PID and its name. ESRCH; EBUSY for one that
        is still being loaded (abort the load)."""
        task = self.tasks.find(pid)
        if task.state == t.LOADING:
            raise HsxError(EBUSY, "begin", "the task is being loaded")
        self.vm.unload(pid)
        self.tasks.remove(task)
        if self._emit is not None:
            self._emit("task", pid, {"state": "killed", "instance": task.instance})

    def stop(self) -> None:
        """Ends all tasks, last started first, as for a soft reset."""
        for pid in sorted([task.pid for task in self.tasks.order], reverse=True):
            if self.tasks.find(pid).state != t.LOADING:
                self.kill(pid)

    def poll(self, now: int) -> int:
        """One bounded slice; returns milliseconds until the next call is wanted."""
        return self.scheduler.poll(now)

    def ps(self) -> "list[dict[str, Any]]":
        """One dict a task, by PID, with the field names of spec/hxe_v2.md section 10."""
        rows = [self._row(task) for task in self.tasks.order]
        rows.sort(key=lambda row: row["pid"])
        return rows

    def _row(self, task: "t.Task") -> "dict[str, Any]":
        loaded = task.state != t.LOADING
        meta = task.metadata
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
            "values": len(meta.values) if meta else 0,
            "commands": len(meta.commands) if meta else 0,
            "mailboxes": len(meta.mailboxes) if meta else 0,
        }

    def _changed(self, task: "t.Task") -> None:
        if self._emit is not None:
            data: "dict[str, Any]" = {"state": t.STATES[task.state], "instance": task.instance}
            if task.stop:
                data["stop"] = t.stop_name(task.stop)
            if task.exit_code >= 0:
                data["exit_status"] = task.exit_code
            self._emit("task", task.pid, data)
