# SPDX-License-Identifier: MIT
"""One mailbox: its messages, who reads them, and copies for taps (spec/svc_abi.md section 5).

A record is a message behind its header of 8 bytes, and costs what it is long. In a single-reader
mailbox whoever comes first takes the oldest; in a fan-out each handle has its own place, and a
record goes when all readers have passed it.
"""

from micropython import const

from .. import ticks

OK = const(0)  # statuses of the service calls
WOULDBLOCK = const(1)
MSG_TOO_LARGE = const(4)
DROPPED = const(-1)  # OK, but readers lost something for it

FANOUT = const(8)  # modes that mean something
_BLOCK = const(0x20)

HEADER = const(8)  # bytes: length, flags, source PID, channel

_TAPPED = const(20)  # messages a second that a tap copies


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


class Tap(Queue):
    """Copies for one handle."""

    def __init__(self, now: int) -> None:
        Queue.__init__(self)
        self.since = now  # tick at which a second began
        self.count = 0  # of copies in it


class Handle:
    """What one task has of a mailbox."""

    def __init__(self, box: "Mailbox", position: int) -> None:
        self.box = box
        self.position = position  # in a fan-out: which record is next
        self.sender = False  # sends, and holds nothing back that others have read
        self.overrun = False  # records were dropped that it had not read
        self.tap: "Tap | None" = None
        self.value = -1  # OID of the value whose changes are sent through it; -1: none

    def is_reader(self) -> bool:
        """Whether records of a fan-out stay until this handle has read them."""
        return not self.sender and self.tap is None


class Mailbox(Queue):
    """A queue of at most `capacity` bytes, headers included."""

    def __init__(self, number: int, identity: "tuple[str, str, int]", capacity: int) -> None:
        Queue.__init__(self)
        self.number = number  # what BIND gives
        self.identity = identity  # namespace, name, owner's PID or -1
        self.capacity = capacity
        self.mode = 0
        self.handles: "list[Handle]" = []
        self.holders: "list[int]" = []  # PIDs that have bound it
        self.told = False  # that it is full; until it has been empty

    def opened(self, position: int) -> "Handle":
        """A new handle."""
        handle = Handle(self, position)
        self.handles.append(handle)
        return handle

    def queues(self) -> int:
        """How many queues of its capacity there are, those of taps included."""
        return 1 + sum([handle.tap is not None for handle in self.handles])

    def resize(self, capacity: int) -> None:
        """Another capacity; what is too much then is dropped, the oldest first."""
        self.capacity = capacity
        while self.used > capacity:
            self._drop_oldest()

    def set_mode(self, mode: int) -> None:
        """Another mode; readers of a fan-out begin with what comes from now on."""
        self.mode = mode
        for handle in self.handles:
            handle.position = len(self.records) if mode & FANOUT else 0
            handle.sender = handle.overrun = False
        self.reclaim()

    def send(self, handle: "Handle", record: "bytearray", now: int) -> int:
        """Queues a record that is longer than its header. OK, DROPPED, MSG_TOO_LARGE,
        WOULDBLOCK."""
        size = len(record)
        status = OK
        handle.sender = True
        if size == HEADER:
            return OK
        if size > self.capacity:
            return MSG_TOO_LARGE
        self.reclaim()
        if size > self.capacity - self.used:
            if not self.mode & FANOUT or self.mode & _BLOCK:
                return WOULDBLOCK
            status = DROPPED
            while size > self.capacity - self.used:
                self._drop_oldest()
        self.put(record)
        for other in self.handles:
            if other.tap is not None:
                self._copy(other, other.tap, record, now)
        return status

    def receive(self, handle: "Handle") -> "bytearray | None":
        """The next record of a handle, None if there is none."""
        queue = self if handle.tap is None else handle.tap
        if queue is not self or not self.mode & FANOUT:
            return queue.take() if queue.records else None
        if handle.position >= len(self.records):
            return None
        record = self.records[handle.position]
        handle.position += 1
        handle.sender = False
        self.reclaim()
        return record

    def peek(self, handle: "Handle") -> "tuple[int, int, int]":
        """(messages, bytes used, length of the next message or 0) of what a handle reads."""
        queue = self if handle.tap is None else handle.tap
        at = handle.position if queue is self and self.mode & FANOUT else 0
        length = len(queue.records[at]) - HEADER if at < len(queue.records) else 0
        return len(queue.records), queue.used, length

    def begin_tap(self, handle: "Handle", now: int) -> None:
        """Lets a handle read copies of what is sent from now on."""
        handle.tap = Tap(now)
        handle.overrun = False
        self.reclaim()

    def end_tap(self, handle: "Handle") -> None:
        """Lets a handle read what others read, from now on."""
        handle.tap = None
        handle.overrun = False
        handle.position = len(self.records)

    def reclaim(self) -> None:
        """Forgets what all readers of a fan-out have read; without readers, nothing."""
        while self.mode & FANOUT and self.records:
            passed = False
            for handle in self.handles:
                if handle.is_reader():
                    if not handle.position:
                        return
                    passed = True
            if not passed:
                return
            self._take_first()

    def _take_first(self) -> None:
        self.take()
        for handle in self.handles:
            if handle.position:
                handle.position -= 1

    def _drop_oldest(self) -> None:
        for handle in self.handles:
            if self.mode & FANOUT and handle.is_reader() and not handle.position:
                handle.overrun = True
        self._take_first()

    def _copy(self, handle: "Handle", tap: "Tap", record: "bytearray", now: int) -> None:
        if not 0 <= ticks.diff(now, tap.since) < 1000:
            tap.since = now
            tap.count = 0
        if tap.count == _TAPPED:
            handle.overrun = True
            return
        tap.count += 1
        while tap.used + len(record) > self.capacity:
            tap.take()
            handle.overrun = True
        tap.put(record)
