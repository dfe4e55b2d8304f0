# SPDX-License-Identifier: MIT
"""Mailboxes against a model: every message in its order, to whom it is due, and nothing left."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bench.node import Clock
from hsx.node import mailbox
from hsx.node import mailboxes as m
from hsx.node.mailboxes import Mailboxes

FANOUT, BLOCK = 8, 0x20
ROOM = 600
TARGETS = {  # as task 1, 2 or 3 says it -> which mailbox it is
    "app:a": lambda pid: ("app", "a", -1),
    "shared:a@9": lambda pid: ("shared", "a", -1),
    "box": lambda pid: ("svc", "box", pid),
    "svc:box@2": lambda pid: ("svc", "box", 2),
    "app:own@3": lambda pid: ("app", "own", 3),
    "pid:": lambda pid: ("pid", "", pid),
}

pids = st.integers(1, 3)
targets = st.sampled_from(sorted(TARGETS))


class Box:
    """A mailbox whose messages are numbered for ever."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.mode = 0
        self.messages: list[tuple[int, bytes]] = []  # number, message
        self.next = 0
        self.holders: set[int] = set()

    def used(self) -> int:
        return sum(len(message) + 8 for _, message in self.messages)


class Reader:
    """A handle: the number of the message that it read last, or its copies."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.last = box.next - 1
        self.sender = False
        self.overrun = False
        self.copies: list[bytes] | None = None


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.real = Mailboxes(self.clock, room=ROOM)
        self.boxes: dict[tuple, Box] = {}
        self.handles: dict[tuple[int, int], Reader] = {}
        self.sent = 0

    # ---- the model ----

    def of(self, box: Box) -> list[Reader]:
        return [handle for handle in self.handles.values() if handle.box is box]

    def room(self) -> int:
        queues = list(self.boxes.values())
        queues += [handle.box for handle in self.handles.values() if handle.copies is not None]
        return ROOM - sum(box.capacity for box in queues)

    def made(self, pid: int, target: str, capacity: int) -> Box | None:
        identity = TARGETS[target](pid)
        if identity not in self.boxes:
            if len(self.boxes) == 16 or capacity > self.room():
                return None
            self.boxes[identity] = Box(capacity)
        return self.boxes[identity]

    def reclaim(self, box: Box) -> None:
        readers = [one for one in self.of(box) if not one.sender and one.copies is None]
        if box.mode & FANOUT and readers:
            read = min(one.last for one in readers)
            box.messages = [one for one in box.messages if one[0] > read]

    def drop_oldest(self, box: Box) -> None:
        number, _ = box.messages.pop(0)
        for one in self.of(box):
            if box.mode & FANOUT and not one.sender and one.copies is None and one.last < number:
                one.overrun = True

    def sweep(self, box: Box) -> None:
        if not box.holders and not self.of(box):
            self.boxes = {key: one for key, one in self.boxes.items() if one is not box}

    def chosen(self, data) -> tuple[tuple[int, int], Reader, mailbox.Handle]:
        key = data.draw(st.sampled_from(sorted(self.handles)))
        real = self.real.find(*key)
        assert not isinstance(real, int)
        return key, self.handles[key], real

    # ---- what tasks do ----

    @initialize(mode=st.sampled_from([3, FANOUT, FANOUT | BLOCK]))
    def meet(self, mode) -> None:
        """All have one mailbox: most of what can happen needs several of them at one."""
        self.bind(1, "app:a", 0, mode)
        for pid in (1, 2, 2, 3):
            self.open(pid, "app:a")

    @rule(pid=pids, name=targets)
    def open(self, pid, name) -> None:
        number = self.real.open(pid, name)
        own = [key for key in self.handles if key[0] == pid]
        box = self.made(pid, name, 64) if len(own) < 5 else None
        if box is None:
            assert number == -m.NO_DESCRIPTOR
            return
        assert number >= 4 and all(number > other for _, other in own)
        self.handles[pid, number] = Reader(box)

    @rule(
        pid=pids,
        name=targets,
        capacity=st.sampled_from([0, 9, 30, 64, 200]),
        mode=st.sampled_from([0, 3, FANOUT, FANOUT | BLOCK, BLOCK]),
    )
    def bind(self, pid, name, capacity, mode) -> None:
        bound = self.real.bind(pid, name, capacity, mode)
        box = self.made(pid, name, capacity or 64)
        more = 0
        if box is not None and capacity:
            copies = sum(one.copies is not None for one in self.of(box))
            more = (capacity - box.capacity) * (1 + copies)
        if box is None or more > self.room():
            assert bound == m.NO_DESCRIPTOR
            return
        assert isinstance(bound, mailbox.Mailbox)
        if capacity:
            box.capacity = capacity
            while box.used() > capacity:
                self.drop_oldest(box)
        if mode:
            box.mode = mode
            for one in self.of(box):
                one.last = box.next - 1 if mode & FANOUT else -1
                one.sender = one.overrun = False
            self.reclaim(box)
        box.holders.add(pid)

    @precondition(lambda self: self.handles)
    @rule(data=st.data(), size=st.sampled_from([0, 1, 1, 5, 20, 60]))
    def send(self, data, size) -> None:
        (pid, _), handle, real = self.chosen(data)
        self.sent += 1
        message = bytes([self.sent & 0xFF]) * size
        status = self.real.send(pid, real, bytearray(8) + message)
        box = handle.box
        handle.sender = True
        if not size:
            assert status == mailbox.OK
            return
        if size + 8 > box.capacity:
            assert status == mailbox.MSG_TOO_LARGE
            return
        self.reclaim(box)
        if box.used() + size + 8 > box.capacity and (not box.mode & FANOUT or box.mode & BLOCK):
            assert status == mailbox.WOULDBLOCK
            return
        assert status == mailbox.OK
        while box.used() + size + 8 > box.capacity:
            self.drop_oldest(box)
        box.messages.append((box.next, message))
        box.next += 1
        for one in self.of(box):
            if one.copies is not None:
                one.copies.append(message)
                while sum(len(copy) + 8 for copy in one.copies) > box.capacity:
                    one.copies.pop(0)
                    one.overrun = True
        self.clock.forward(1000)  # no tap has more than it may copy

    @precondition(lambda self: self.handles)
    @rule(data=st.data())
    def receive(self, data) -> None:
        _, handle, real = self.chosen(data)
        box = handle.box
        expected = None
        if handle.copies is not None:
            expected = handle.copies.pop(0) if handle.copies else None
        elif box.mode & FANOUT:
            for number, message in box.messages:
                if number > handle.last:
                    expected = message
                    handle.last = number
                    handle.sender = False
                    break
        elif box.messages:
            expected = box.messages.pop(0)[1]
        if expected is not None and handle.copies is None:  # a copy frees nothing of the mailbox
            self.reclaim(box)
        assert real.box.peek(real)[2] == len(expected or b"")
        got = self.real.receive(real)
        if expected is None:
            assert got is None
            return
        assert got is not None
        assert (bytes(got[0][8:]), got[1]) == (expected, handle.overrun)
        handle.overrun = False

    @precondition(lambda self: self.handles)
    @rule(data=st.data(), enable=st.integers(0, 1))
    def tap(self, data, enable) -> None:
        (pid, _), handle, real = self.chosen(data)
        status = self.real.tap(pid, real, enable)
        if enable and handle.copies is None:
            if handle.box.capacity > self.room():
                assert status == m.NO_DESCRIPTOR
                return
            handle.copies = []
            handle.overrun = False
            self.reclaim(handle.box)
        elif not enable and handle.copies is not None:
            handle.copies = None
            handle.overrun = False
            handle.last = handle.box.next - 1
        assert status == mailbox.OK

    @precondition(lambda self: self.handles)
    @rule(data=st.data())
    def close(self, data) -> None:
        key, handle, _ = self.chosen(data)
        assert self.real.close(*key) == mailbox.OK
        assert self.real.close(*key) == m.INVALID_HANDLE
        del self.handles[key]
        self.reclaim(handle.box)
        if not self.of(handle.box) and handle.box.messages:
            handle.box.holders = handle.box.holders or {key[0]}
        self.sweep(handle.box)

    @rule(pid=pids)
    def drop(self, pid) -> None:
        self.real.drop(pid)
        self.handles = {key: one for key, one in self.handles.items() if key[0] != pid}
        for identity, box in list(self.boxes.items()):
            box.holders.discard(pid)
            if identity[2] == pid:
                box.holders.clear()
                gone = [key for key, one in self.handles.items() if one.box is box]
                for key in gone:
                    del self.handles[key]
                    assert self.real.find(*key) == m.INVALID_HANDLE
            self.reclaim(box)
            self.sweep(box)

    @invariant()
    def there_is_what_there_should_be(self) -> None:
        rows = self.real.rows()
        assert {(row["namespace"], row["name"], row["owner"]) for row in rows} == set(self.boxes)
        for row in rows:
            box = self.boxes[row["namespace"], row["name"], row["owner"]]
            assert (row["capacity"], row["mode"]) == (box.capacity, box.mode)
            assert (row["depth"], row["bytes_used"]) == (len(box.messages), box.used())
            assert row["handles"] == len(self.of(box))
            assert row["bytes_used"] <= row["capacity"]
        assert self.room() >= 0

    def teardown(self) -> None:
        for pid in (1, 2, 3):
            self.real.drop(pid)
        assert self.real.rows() == []
        assert self.real._handles == {}
        assert (self.real._last, self.real._exhausted) == ({}, set())


Machine.TestCase.settings = settings(max_examples=300, stateful_step_count=40)
TestMachine = Machine.TestCase


def test_handles_begin_anew_where_their_numbers_end():
    boxes = Mailboxes(Clock())
    boxes.open(1, "app:kept")
    for number in range(5, 0x10000):
        assert boxes.open(1, "app:a") == number
        boxes.close(1, number)
    assert [boxes.open(1, "app:a") for _ in range(2)] == [5, 6]


def too_many_handles(boxes: Mailboxes, pid: int) -> None:
    for _ in range(9):
        boxes.open(pid, "app:a")


def too_large_a_mailbox(boxes: Mailboxes, pid: int) -> None:
    assert boxes.bind(pid, "app:b", ROOM + 1, 0) == m.NO_DESCRIPTOR


def too_many_copies(boxes: Mailboxes, pid: int) -> None:
    number = boxes.open(pid, "app:a")
    boxes.bind(pid, "app:a", ROOM, 0)
    handle = boxes.find(pid, number)
    assert not isinstance(handle, int)
    assert boxes.tap(pid, handle, 1) == m.NO_DESCRIPTOR
    boxes.close(pid, number)


@pytest.mark.parametrize(
    ("exhaust", "reason"),
    [
        (too_many_handles, "handle_limit"),
        (too_large_a_mailbox, "descriptor_pool_full"),
        (too_many_copies, "descriptor_pool_full"),
    ],
)
def test_exhaustion_is_told_once_of_each_task_and_anew_of_the_next_with_its_pid(exhaust, reason):
    told = []
    boxes = Mailboxes(Clock(), lambda kind, pid, data: told.append((kind, pid, data)), ROOM)

    def told_of() -> list[int]:
        told.clear()
        for pid in (1, 2, 1, 2):
            exhaust(boxes, pid)
        assert all(event[::2] == ("mailbox_exhausted", {"reason": reason}) for event in told)
        return [event[1] for event in told]

    assert told_of() == [1, 2]
    assert told_of() == []
    boxes.drop(2)
    assert told_of() == [2]
    boxes.drop(1)
    boxes.drop(2)
    assert told_of() == [1, 2]
