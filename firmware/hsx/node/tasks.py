# SPDX-License-Identifier: MIT
"""The task table: what a PID is, where it came from and what became of it."""

from micropython import const

from .. import native
from ..errors import ESRCH, HsxError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..image.header import Header
    from ..image.sections import Metadata

# States of a task, as `ps` names them in STATES.
LOADING = const(0)  # bytes are arriving
LOADED = const(1)  # complete and checked, not started
READY = const(2)  # runs when its turn comes
SLEEPING = const(3)  # until `wake`
PAUSED = const(4)  # at a BRK
STOPPED = const(5)  # ended by TASK_EXIT or RET
FAULTED = const(6)  # parked by an error, never run again
WAITING = const(7)  # for a message, until `wake`

STATES = ("loading", "loaded", "ready", "sleeping", "paused", "stopped", "faulted", "waiting")

NEVER = const(-1)  # `wake` of a task that waits for ever

_FAULTS = (
    (native.FAULT_STACK_UNDERFLOW, "fault:stack_underflow"),
    (native.FAULT_STACK_OVERFLOW, "fault:stack_overflow"),
    (native.FAULT_MEM, "fault:mem"),
    (native.FAULT_DIV_ZERO, "fault:div_zero"),
    (native.FAULT_ILLEGAL, "illegal_opcode"),
    (native.FAULT_PC_RANGE, "pc_out_of_range"),
)


def stop_name(stop: int) -> str:
    """The stop of `VM.clock()` in the reference's words; "" for one that is no end."""
    reason = stop & 0xFF
    if reason == native.FAULT:
        for code, text in _FAULTS:
            if code == stop >> 8:
                return text
    if reason == native.EXIT:
        return "exit"
    if reason == native.RETURNED:
        return "returned"
    if reason == native.BRK:
        return "brk"
    return ""


class Task:
    """One PID. Attributes are set here and changed only by the node's own modules."""

    def __init__(self, pid: int, source: str, priority: int, quantum: int) -> None:
        self.pid = pid
        self.app = ""  # base name, known when the header is
        self.instance = ""  # unique name, known when the header is
        self.source = source  # where the image came from (P-37)
        self.grants = 0  # bits of what service module 9 does for it (node.svc_prov)
        self.locked = False  # whether a debugger holds it (P-45)
        self.priority = priority  # 0 first .. 255 last
        self.quantum = quantum  # instructions per turn
        self.state = LOADING
        self.stop = 0  # last result of clock() that ended or paused it
        self.exit_code = -1  # R0 at exit or return; -1 while there is none
        self.wake = 0  # tick at which a sleeper or waiter goes on
        self.sleep_left = 0  # ms of a sleep beyond what a tick can express
        self.header: "Header | None" = None  # image.header.Header, known when it is complete
        self.metadata: "Metadata | None" = None  # image.sections.Metadata, known at the end


class Tasks:
    """All tasks, in the order in which they get their turn: priority, then PID."""

    def __init__(self) -> None:
        self.order: "list[Task]" = []

    def add(self, task: "Task") -> None:
        """Enters a task behind those of the same priority."""
        at = len(self.order)
        while at and self.order[at - 1].priority > task.priority:
            at -= 1
        self.order.insert(at, task)

    def remove(self, task: "Task") -> None:
        """Takes a task out; unknown ones are ignored, so that clean-up may repeat itself."""
        if task in self.order:
            self.order.remove(task)

    def find(self, pid: int) -> "Task":
        """The task of a PID. Raises ESRCH."""
        for task in self.order:
            if task.pid == pid:
                return task
        raise HsxError(ESRCH, "begin", "no task has this PID")

    def names(self) -> "list[str]":
        """All instance names in use, ended tasks included."""
        return [task.instance for task in self.order]
