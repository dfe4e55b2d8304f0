# SPDX-License-Identifier: MIT
"""The mailboxes of all tasks: named queues of messages (spec/svc_abi.md sections 4 and 5).

A mailbox lives as long as a task has a handle of it or has bound it; one with an owner goes with
its owner. What tasks wait for, and their memory, is `svc_mailbox`'s. Statuses are those of the
service calls. Nothing is reserved: memory is taken by what is there.
"""

from micropython import const

from .. import errors, ticks
from ..errors import HsxError
from ..image.metadata import mailbox_identity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ..contracts import Clock, Emit
    from .node import Node
    from .tasks import Task

OK = const(0)
WOULDBLOCK = const(1)
INVALID_HANDLE = const(2)
NO_DATA = const(3)
MSG_TOO_LARGE = const(4)
NO_DESCRIPTOR = const(5)
TIMEOUT = const(7)
INTERNAL_ERROR = const(0xFF)

FANOUT = const(8)  # modes that mean something here
_BLOCK = const(0x20)

HEADER = const(8)  # bytes of a record in front of the message: length, flags, source PID, channel

_DEFAULT = const(64)  # bytes of a queue, headers included
_BOXES = const(16)
_HANDLES = const(8)  # of a PID
_TAPPED = const(20)  # messages a second that a tap copies
_STDIO = ("svc:stdio.in", "svc:stdio.out", "svc:stdio.err")  # handles 1, 2, 3 of every task


class Queue:
    """Records, oldest first."""

    def __init__(self) -> None:
        self.records: "list[bytearray]" = []
        self.used = 0  # bytes, headers included

    def put(self, record: "bytearray") -> None:
        self.records.append(record)
        self.used += len(record)

    def take(self) -> "bytearray":
        record = self.records.pop(0)
        self.used -= len(record)
        return record


class Mailbox(Queue):
    """One queue and its name."""

    def __init__(self, number: int, identity: "tuple[str, str, int]", capacity: int) -> None:
        super().__init__()
        self.number = number  # what BIND gives
        self.identity = identity  # namespace, name, owner's PID or -1
        self.capacity = capacity  # bytes, headers included
        self.mode = 0
        self.holders: "list[int]" = []  # PIDs that have bound it
        self.told = False  # that it is full; until it has been empty


class Tap(Queue):
    """Copies for one handle; at most `_TAPPED` in a second."""

    def __init__(self, now: int) -> None:
        super().__init__()
        self.since = now  # tick at which the second began
        self.count = 0  # of copies in it


class Handle:
    """What one task has of a mailbox."""

    def __init__(self, box: "Mailbox", position: int) -> None:
        self.box = box
        self.position = position  # in a fan-out queue: which record is next
        self.sender = False  # sends, and holds nothing back that others have read
        self.overrun = False  # records were dropped that it had not read
        self.tap: "Tap | None" = None
        self.value = -1  # OID of the value whose changes are sent through it; -1: none


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
                grows += (record.capacity - box.capacity) * self._copies(box)
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
            if (capacity - box.capacity) * self._copies(box) > self._free():
                return self._refuse(pid, "descriptor_pool_full")
            box.capacity = capacity
            while box.used > capacity:
                self._drop_oldest(box)
        if mode:
            box.mode = mode
            for handle in self._of(box):
                handle.position = len(box.records) if mode & FANOUT else 0
                handle.sender = handle.overrun = False
        if pid not in box.holders:
            box.holders.append(pid)
        return box

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
        self._handles[pid << 16 | number] = Handle(box, len(box.records))
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
        handle = Handle(box, 0)  # it has been there all the time
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
        self._reclaim(box)
        if not self._is_held(box):
            if box.records:
                box.holders.append(pid)
            else:
                del self._boxes[box.identity]
        return OK

    def drop(self, pid: int) -> None:
        """Forgets a task: its handles, what it has bound, its own mailboxes with what others
        have of them, and that it waits."""
        for key in [key for key in self._handles if key >> 16 == pid]:
            del self._handles[key]
        for box in list(self._boxes.values()):
            if pid in box.holders:
                box.holders.remove(pid)
            if box.identity[2] == pid:
                for key in [key for key, handle in self._handles.items() if _is_of(handle, box)]:
                    del self._handles[key]
                box.holders.clear()
            self._reclaim(box)
            if not self._is_held(box):
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
        return self._room - sum([box.capacity * self._copies(box) for box in self._boxes.values()])

    def _copies(self, box: "Mailbox") -> int:
        """How many queues of its capacity a mailbox has."""
        return 1 + sum([handle.tap is not None for handle in self._of(box)])

    def _of(self, box: "Mailbox") -> "list[Handle]":
        """All handles of a mailbox."""
        return [handle for handle in self._handles.values() if handle and handle.box is box]

    def _is_held(self, box: "Mailbox") -> bool:
        return bool(box.holders or self._of(box))

    # ---- use ----------------------------------------------------------------------------------

    def send(self, pid: int, handle: "Handle", record: "bytearray") -> int:
        """Queues a record of `pid`; one without a message is none. OK, MSG_TOO_LARGE,
        WOULDBLOCK."""
        box = handle.box
        handle.sender = True
        size = len(record)
        if size == HEADER:
            return OK
        if size > box.capacity:
            return MSG_TOO_LARGE
        fanout = box.mode & FANOUT
        if fanout:
            self._reclaim(box)
        if size > box.capacity - box.used:
            if not fanout or box.mode & _BLOCK:
                self._tell_full(pid, box, size, "block" if fanout else "single")
                return WOULDBLOCK
            self._tell_overrun(pid, box)
            while size > box.capacity - box.used:
                self._drop_oldest(box)
        box.put(record)
        for other in self._of(box):
            if other.tap is not None:
                self._copy(other, other.tap, record)
        return OK

    def receive(self, handle: "Handle") -> "tuple[bytearray, bool] | None":
        """The next record of a handle and whether some before it were lost; None if there is
        none."""
        box = handle.box
        queue = box if handle.tap is None else handle.tap
        if queue is box and box.mode & FANOUT:
            if handle.position >= len(box.records):
                return None
            record = box.records[handle.position]
            handle.position += 1
            handle.sender = False
            self._reclaim(box)
        elif queue.records:
            record = queue.take()
        else:
            return None
        if not box.records:
            box.told = False
        overrun = handle.overrun
        handle.overrun = False
        return record, overrun

    def peek(self, handle: "Handle") -> "tuple[int, int, int]":
        """(messages, bytes used, length of the next message or 0) of what the handle reads."""
        box = handle.box
        queue = box if handle.tap is None else handle.tap
        at = handle.position if queue is box and box.mode & FANOUT else 0
        length = len(queue.records[at]) - HEADER if at < len(queue.records) else 0
        return len(queue.records), queue.used, length

    def tap(self, pid: int, handle: "Handle", enable: int) -> int:
        """Lets a handle read copies of what is sent from now on, or no longer. OK; NO_DESCRIPTOR:
        no room for the copies."""
        box = handle.box
        if not enable:
            if handle.tap is not None:
                handle.tap = None
                handle.overrun = False
                handle.position = len(box.records)
        elif handle.tap is None:
            if box.capacity > self._free():
                return self._refuse(pid, "descriptor_pool_full")
            handle.tap = Tap(self._clock())
            handle.overrun = False
            self._reclaim(box)
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

    def _copy(self, handle: "Handle", tap: "Tap", record: "bytearray") -> None:
        now = self._clock()
        if not 0 <= ticks.diff(now, tap.since) < 1000:
            tap.since = now
            tap.count = 0
        if tap.count == _TAPPED:
            handle.overrun = True
            return
        tap.count += 1
        while tap.used + len(record) > handle.box.capacity:
            tap.take()
            handle.overrun = True
        tap.put(record)

    def _reclaim(self, box: "Mailbox") -> None:
        """Forgets what all readers of a fan-out have read; without readers, nothing."""
        if not box.mode & FANOUT:
            return
        handles = self._of(box)
        while box.records:
            ahead = -1  # how far the slowest reader is
            for handle in handles:
                if not handle.sender and handle.tap is None:
                    ahead = handle.position if ahead < 0 else min(ahead, handle.position)
            if ahead <= 0:
                return
            box.take()
            for handle in handles:
                if handle.position:
                    handle.position -= 1

    def _drop_oldest(self, box: "Mailbox") -> None:
        box.take()
        for handle in self._of(box):
            if handle.position:
                handle.position -= 1
            elif box.mode & FANOUT and not handle.sender and handle.tap is None:
                handle.overrun = True

    def _tell_full(self, pid: int, box: "Mailbox", size: int, policy: str) -> None:
        if box.told or self._emit is None:
            return
        box.told = True
        data = {"descriptor": box.number, "policy": policy, "capacity": box.capacity}
        data["bytes_used"] = box.used
        data["requested"] = size
        self._emit("mailbox_backpressure", pid, data)

    def _tell_overrun(self, pid: int, box: "Mailbox") -> None:
        if not box.told and self._emit is not None:
            box.told = True
            data = {"descriptor": box.number, "queue_depth": len(box.records)}
            self._emit("mailbox_overrun", pid, data)

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
                    "handles": len(self._of(box)),
                }
            )
        return found


def of(node: "Node") -> "Mailboxes":
    """The mailboxes of a node, made now if there are none."""
    if node.mailboxes is None:
        node.mailboxes = Mailboxes(node.clock, node.emit)
    return node.mailboxes


def _is_of(handle: "Handle | None", box: "Mailbox") -> bool:
    return handle is not None and handle.box is box


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
