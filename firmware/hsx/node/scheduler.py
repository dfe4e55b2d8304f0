# SPDX-License-Identifier: MIT
"""Who runs, for how long, and who wakes."""

from micropython import const

from .. import native, ticks
from . import tasks as t

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..contracts import Clock
    from .svc import Svc

_LONGEST = const(1 << 27)  # ms that one wake-up tick can be away (ticks.diff)
_IDLE = const(1000)  # ms until the next call if no task waits for anything


class Scheduler:
    """Turns in order of priority, a quantum of instructions each, until the slice is over.

    Every ready task gets a turn in each round, so none starves; who needs a larger share gets a
    larger quantum. `clock()` gives ticks; `slice_ms` bounds one poll by time, checked after each
    turn. `ended(task)` is told of each task that stopped, faulted or paused.
    """

    def __init__(
        self,
        vm: "native.VM",
        table: "t.Tasks",
        svc: "Svc",
        clock: "Clock",
        ended: "Callable[[t.Task], None] | None" = None,
        slice_ms: int = 5,
    ) -> None:
        self._vm = vm
        self._table = table
        self._svc = svc
        self._clock = clock
        self._ended = ended
        self._slice_ms = slice_ms
        self._next = 0  # place in the table whose turn is next

    def run(self, task: "t.Task", steps: int, now: int) -> int:
        """Runs one READY task for at most `steps` instructions, answering its calls.

        Returns the reason of the core: OK if the steps are used up, SVC if a call made the task
        wait, SLEEP, or how it ended. Steps are counted exactly."""
        vm = self._vm
        pid = task.pid
        stop = self.advance(task, steps)
        reason = stop & 0xFF
        if reason == native.SLEEP:
            ms = vm.get(pid, 0)
            vm.set(pid, 0, 0)
            task.state = t.SLEEPING
            self._sleep(task, ms, now)
        elif reason != native.OK and reason != native.SVC:
            self._end(task, stop)
        return reason

    def advance(self, task: "t.Task", steps: int) -> int:
        """As run(), but a sleep or an end is only told, and nothing is done about it. Returns the
        stop of the core."""
        vm = self._vm
        pid = task.pid
        while True:
            before = vm.get(pid, native.STEPS)
            stop = vm.clock(pid, steps)
            reason = stop & 0xFF
            if reason == native.SVC:
                self._svc.call(task, stop >> 8)
                if task.state != t.READY:
                    return stop
                # Fewer than 2**30 steps at a time: a longer mask would be an object of the heap.
                steps -= (vm.get(pid, native.STEPS) - before) & 0x3FFFFFFF
                if steps > 0:
                    continue
                return native.OK
            return stop

    def poll(self, now: int) -> int:
        """One slice. Returns milliseconds until it wants to be called again, 0 at once."""
        start = now
        busy = self._wake(now)
        while busy:
            busy = False
            order = self._table.order
            turns = len(order)
            while turns:
                turns -= 1
                if self._next >= len(order):
                    self._next = 0
                task = order[self._next]
                self._next += 1
                if task.state == t.READY:
                    self.run(task, task.quantum, now)
                    busy = busy or task.state == t.READY
                    now = self._clock()
                    if ticks.diff(now, start) >= self._slice_ms:
                        return 0
        return self._due(now)

    def _sleep(self, task: "t.Task", ms: int, now: int) -> None:
        step = ms if ms < _LONGEST else _LONGEST
        task.wake = ticks.add(now, step)
        task.sleep_left = ms - step

    def _wake(self, now: int) -> bool:
        """Wakes sleepers and who has waited long enough; returns whether any task is ready."""
        ready = False
        for task in self._table.order:
            if task.state == t.SLEEPING and ticks.reached(now, task.wake):
                if task.sleep_left:
                    self._sleep(task, task.sleep_left, task.wake)
                else:
                    task.state = t.READY
            elif task.state == t.WAITING and task.wake >= 0 and ticks.reached(now, task.wake):
                from . import svc_mailbox

                svc_mailbox.expired(self._svc, task)
            if task.state == t.READY:
                ready = True
        return ready

    def _due(self, now: int) -> int:
        due = _IDLE
        for task in self._table.order:
            if task.state == t.READY:
                return 0
            if task.state == t.SLEEPING or (task.state == t.WAITING and task.wake >= 0):
                left = ticks.diff(task.wake, now)
                if left < due:
                    due = left if left > 0 else 0
        return due

    def _end(self, task: "t.Task", stop: int) -> None:
        task.stop = stop
        reason = stop & 0xFF
        if reason == native.BRK:
            task.state = t.PAUSED
        elif reason == native.FAULT:
            task.state = t.FAULTED
        else:
            task.state = t.STOPPED
            task.exit_code = self._vm.get(task.pid, 0)
        if self._ended is not None:
            self._ended(task)
