# SPDX-License-Identifier: MIT
"""The mailboxes of all tasks: who has which (spec/svc_abi.md sections 4 and 5).

`mailbox` is one of them. It lives as long as a task has a handle of it or has bound it; one with
an owner goes with its owner. What tasks wait for, and their memory, is `svc_mailbox`'s. Statuses
are those of the service calls. Nothing is reserved: memory is taken by what is there.
"""

from micropython import const

from .. import errors
from ..errors import HsxError
from ..image.metadata import mailbox_identity
from .mailbox import DROPPED, FANOUT, OK, WOULDBLOCK, Handle, Mailbox

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ..contracts import Clock, Emit
    from .node import Node
    from .tasks import Task

INVALID_HANDLE = const(2)
NO_DATA = const(3)
NO_DESCRIPTOR = const(5)
TIMEOUT = const(7)
INTERNAL_ERROR = const(0xFF)

_DEFAULT = const(64)  # bytes of a queue, headers included
_BOXES = const(16)
_HANDLES = const(8)  # of a PID
_STDIO = ("svc:stdio.in", "svc:stdio.out", "svc:stdio.err")  # handles 1, 2, 3 of every task


class Mailboxes:
    """At most 16 mailboxes of together `room` bytes, the copies of taps included, and 8 handles a
    task. `clock()`: ticks. `emit(type, pid, data)` gets `mailbox_exhausted` (once for a task),
    `mailbox_backpressure` and `mailbox_overrun` (once until the queue has been empty); ordinary
    traffic is not told.
    """

    def __init__(self, clock: "Clock", emit: "Emit | None" = None, room: int = 4096) -> None:
        self.waiting: "list[Task]" = []  # in RECV, who came first stands first
        self._clock = clock
        self._emit = emit
        self._room = room
        self._boxes: "dict[tuple[str, str, int], Mailbox]" = {}
        self._count = 0  # of all mailboxes that there have been: their numbers
        # pid << 16 | number. None: a closed one of _STDIO. Theirs are not here before their use.
        self._handles: "dict[int, Handle | None]" = {}
        self._last: "dict[int, int]" = {}  # PID -> the handle that it got last
        self._exhausted: "set[int]" = set()  # PIDs of which that was told

    # ---- coming and going ---------------------------------------------------------------------

    def check(self, pid: int, records: "Sequence[Any]") -> None:
        """Whether declare() will find room for all: ENOSPC if not; EBADMSG for a target that is
        no name, or two that are the same here."""
        found = []
        grows = count = 0
        for record in records:
            identity = _identity(
                record.target, pid if record.owner_pid is None else record.owner_pid
            )
            if identity is None or identity in found:
                raise errors.bad_image(errors.RULE_MAILBOX, "end")
            found.append(identity)
            box = self._boxes.get(identity)
            if box is None:
                count += 1
                grows += record.capacity or _DEFAULT
            elif record.capacity:
                grows += (record.capacity - box.capacity) * box.queues()
        if count > _BOXES - len(self._boxes) or grows > self._free():
            raise HsxError(errors.ENOSPC, "end", "no room for its mailboxes")

    def declare(self, pid: int, records: "Sequence[Any]") -> None:
        """Binds what an image declares: `image.metadata.Mailbox` records that check() has passed.
        ENOSPC: the heap is full, the caller drops the PID."""
        try:
            for record in records:
                owner = pid if record.owner_pid is None else record.owner_pid
                self.bind(pid, record.target, record.capacity, record.mode, owner)
        except MemoryError:
            raise HsxError(errors.ENOSPC, "end", "no room for its mailboxes")

    def bind(
        self, pid: int, target: str, capacity: int, mode: int, caller: int = -1
    ) -> "Mailbox | int":
        """The mailbox, made if there is none; a capacity (bytes) and a mode other than 0 hold for
        one that there is too. `caller`: whose own mailboxes the target speaks of, if not those of
        `pid`. NO_DESCRIPTOR, INTERNAL_ERROR: nothing has changed."""
        box = self._box(pid, target, capacity, pid if caller < 0 else caller)
        if isinstance(box, int):
            return box
        if capacity and capacity != box.capacity:
            if (capacity - box.capacity) * box.queues() > self._free():
                return self._refuse(pid, "descriptor_pool_full")
            box.resize(capacity)
        if mode:
            box.set_mode(mode)
        if pid not in box.holders:
            box.holders.append(pid)
        return box

    def occupancy(self) -> int:
        """Percent of the descriptors."""
        return 100 * len(self._boxes) // _BOXES

    def open(self, pid: int, target: str) -> int:
        """A new handle, 4 or more; negative: the status NO_DESCRIPTOR or INTERNAL_ERROR."""
        own = [key for key, handle in self._handles.items() if key >> 16 == pid]
        closed = [key for key in own if self._handles[key] is None]
        unopened = [n for n in range(1, len(_STDIO) + 1) if pid << 16 | n not in self._handles]
        if len(own) - len(closed) + len(unopened) >= _HANDLES:
            return -self._refuse(pid, "handle_limit")
        box = self._box(pid, target, 0, pid)
        if isinstance(box, int):
            return -box
        number = self._last.get(pid, len(_STDIO))
        while True:
            number = number + 1 if number < 0xFFFF else len(_STDIO) + 1
            if pid << 16 | number not in self._handles:
                break
        self._last[pid] = number
        self._handles[pid << 16 | number] = box.opened(len(box.records))
        return number

    def find(self, pid: int, number: int) -> "Handle | int":
        """A task's handle; INVALID_HANDLE. NO_DESCRIPTOR: no room for a mailbox of its stdio,
        which are made when they are first used."""
        key = pid << 16 | number
        if key in self._handles:
            return self._handles[key] or INVALID_HANDLE
        if not 1 <= number <= len(_STDIO):
            return INVALID_HANDLE
        box = self._box(pid, _STDIO[number - 1], 0, pid)
        if isinstance(box, int):
            return box
        handle = box.opened(0)  # it has been there all the time
        self._handles[key] = handle
        return handle

    def close(self, pid: int, number: int) -> int:
        """OK, INVALID_HANDLE. A mailbox that nobody has any more goes, unless there are messages
        in it: then it stays with who closed it, as if bound."""
        key = pid << 16 | number
        handle = self._handles.get(key)
        if 1 <= number <= len(_STDIO) and key not in self._handles:
            self._handles[key] = None
            return OK
        if handle is None:
            return INVALID_HANDLE
        if number <= len(_STDIO):
            self._handles[key] = None
        else:
            del self._handles[key]
        box = handle.box
        box.handles.remove(handle)
        box.reclaim()
        if not box.holders and not box.handles:
            if box.records:
                box.holders.append(pid)
            else:
                del self._boxes[box.identity]
        return OK

    def drop(self, pid: int) -> None:
        """Forgets a task: its handles, what it has bound, its own mailboxes with what others
        have of them, and that it waits."""
        for box in list(self._boxes.values()):
            if pid in box.holders:
                box.holders.remove(pid)
            if box.identity[2] == pid:
                box.holders.clear()
                box.handles.clear()
        for key in list(self._handles):
            handle = self._handles[key]
            if handle is not None and key >> 16 == pid and handle in handle.box.handles:
                handle.box.handles.remove(handle)
            if key >> 16 == pid or (handle is not None and handle not in handle.box.handles):
                del self._handles[key]
        for box in list(self._boxes.values()):
            box.reclaim()
            if not box.holders and not box.handles:
                del self._boxes[box.identity]
        self._last.pop(pid, 0)
        self._exhausted.discard(pid)
        for task in self.waiting:
            if task.pid == pid:
                self.waiting.remove(task)
                break

    def _box(self, pid: int, target: str, capacity: int, caller: int) -> "Mailbox | int":
        """The mailbox of a target as `caller` calls it; made, on account of `pid`, if there is
        none. NO_DESCRIPTOR, INTERNAL_ERROR."""
        identity = _identity(target, caller)
        if identity is None:
            return INTERNAL_ERROR
        box = self._boxes.get(identity)
        if box is None:
            capacity = capacity or _DEFAULT
            if len(self._boxes) == _BOXES or capacity > self._free():
                return self._refuse(pid, "descriptor_pool_full")
            self._count += 1
            box = Mailbox(self._count, identity, capacity)
            self._boxes[identity] = box
        return box

    def _refuse(self, pid: int, reason: str) -> int:
        if pid not in self._exhausted and self._emit is not None:
            self._exhausted.add(pid)
            self._emit("mailbox_exhausted", pid, {"reason": reason})
        return NO_DESCRIPTOR

    def _free(self) -> int:
        """Bytes of the room that no mailbox may take yet."""
        return self._room - sum([box.capacity * box.queues() for box in self._boxes.values()])

    # ---- use ----------------------------------------------------------------------------------

    def send(self, pid: int, handle: "Handle", record: "bytearray") -> int:
        """Queues a record of `pid`; one without a message is none. OK, MSG_TOO_LARGE,
        WOULDBLOCK."""
        box = handle.box
        status = box.send(handle, record, self._clock())
        if status in (WOULDBLOCK, DROPPED) and not box.told and self._emit is not None:
            kind = "mailbox_backpressure" if status == WOULDBLOCK else "mailbox_overrun"
            box.told = True
            data: "dict[str, Any]" = {"descriptor": box.number, "queue_depth": len(box.records)}
            if status == WOULDBLOCK:
                data["policy"] = "block" if box.mode & FANOUT else "single"
                data["capacity"] = box.capacity
                data["bytes_used"] = box.used
                data["requested"] = len(record)
            self._emit(kind, pid, data)
        return OK if status == DROPPED else status

    def receive(self, handle: "Handle") -> "tuple[bytearray, bool] | None":
        """The next record of a handle and whether some before it were lost; None if there is
        none."""
        box = handle.box
        record = box.receive(handle)
        if record is None:
            return None
        if not box.records:
            box.told = False
        overrun = handle.overrun
        handle.overrun = False
        return record, overrun

    def tap(self, pid: int, handle: "Handle", enable: int) -> int:
        """Lets a handle read copies of what is sent from now on, or no longer. OK; NO_DESCRIPTOR:
        no room for the copies."""
        box = handle.box
        if not enable:
            if handle.tap is not None:
                box.end_tap(handle)
        elif handle.tap is None:
            if box.capacity > self._free():
                return self._refuse(pid, "descriptor_pool_full")
            box.begin_tap(handle, self._clock())
        return OK

    def publish(self, pid: int, oid: int, record: "bytearray") -> None:
        """Sends the change of a task's value to who has subscribed; where that fails, it is no
        longer sent, and the handle is closed."""
        for key in [
            key for key, handle in self._handles.items() if handle and handle.value == oid
        ]:
            handle = self._handles[key]
            if key >> 16 == pid and handle and self.send(pid, handle, record) != OK:
                self.close(pid, key & 0xFFFF)

    # ---- what there is ------------------------------------------------------------------------

    def count(self, pid: int) -> int:
        """How many mailboxes a task has bound."""
        return sum([pid in box.holders for box in self._boxes.values()])

    def rows(self) -> "list[dict[str, Any]]":
        """One dict a mailbox, in the order in which they were made; `owner` -1: none."""
        found = []
        for box in sorted(self._boxes.values(), key=lambda box: box.number):
            space, name, owner = box.identity
            found.append(
                {
                    "descriptor": box.number,
                    "namespace": space,
                    "name": name,
                    "owner": owner,
                    "capacity": box.capacity,
                    "mode": box.mode,
                    "depth": len(box.records),
                    "bytes_used": box.used,
                    "handles": len(box.handles),
                }
            )
        return found


def of(node: "Node") -> "Mailboxes":
    """The mailboxes of a node, made now if there are none."""
    if node.mailboxes is None:
        node.mailboxes = Mailboxes(node.clock, node.emit)
    return node.mailboxes


def _identity(target: str, caller: int) -> "tuple[str, str, int] | None":
    """Namespace, name and owner of a target as the task `caller` says it; None: it is none."""
    if not target:
        return None
    space, name, owner = mailbox_identity(target)
    if owner == "own":
        owner = caller
    elif owner == "":
        owner = -1
    return (space, name, owner) if isinstance(owner, int) else None
