# SPDX-License-Identifier: MIT
"""Values, commands, messages and numbers over CAN, node and host end on one wire."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsx.errors import EBUSY, EINVAL, ENOENT, EPERM, ETIMEDOUT, HsxError
from hsx.link import can_framing as can
from hsx.link.can_client import CanClient, fragments
from hsx.link.can_messages import short_id
from hsx.link.can_node import UNNUMBERED, CanNode
from measure.can_fleet import MemorySink


class Answers:
    """A node's values and commands. `pin`: an OID that nobody may set."""

    def __init__(self) -> None:
        self.values = {0x101: 0x3C00, 0x102: 0}
        self.calls: list[tuple[int, int]] = []
        self.messages: list[bytes] = []
        self.numbers: list[int] = []
        self.pin = 0x102

    def get(self, pid, oid):
        return (0, self.values[oid]) if oid in self.values else (ENOENT, 0)

    def set(self, pid, oid, bits):
        if oid not in self.values or oid == self.pin:
            return ENOENT if oid not in self.values else EPERM
        self.values[oid] = bits
        return 0

    def call(self, pid, oid):
        self.calls.append((pid, oid))
        return 0, oid + 1

    def message(self, data, now):
        self.messages.append(bytes(data))
        return bytes(reversed(data))

    def number(self, number):
        self.numbers.append(number)
        return 0


class Wire:
    """A host and nodes that hear each other at once. `lost(ident, data)`: what gets lost."""

    def __init__(self, *numbers: int) -> None:
        self.answers = [Answers() for _ in numbers]
        self.nodes = [
            CanNode(MemorySink(), number, answers, b"node %d" % at)
            for at, (number, answers) in enumerate(zip(numbers, self.answers, strict=True))
        ]
        self.client = CanClient()
        self.now = 0
        self.log: list[tuple[int, bytes]] = []
        self.lost = lambda ident, data: False

    def step(self) -> None:
        """A millisecond: whoever has something to say says it."""
        self.now += 1
        self.client.poll(self.now)
        for engine in (self.client, *self.nodes):
            buf = bytearray(8)
            if engine is not self.client:
                engine.poll(self.now)
            while (ident := engine.next_frame(buf)) >= 0:
                data = bytes(buf[: engine.buf_len])
                self.log.append((ident, data))
                if not self.lost(ident, data):
                    for other in (self.client, *self.nodes):
                        if other is not engine:
                            other.frame(ident, memoryview(data), self.now)

    def ask(self, ms: int = 2000):
        """Until the client has its answer."""
        for _ in range(ms):
            self.step()
            if not self.client.busy:
                break
        return self.client.error, self.client.answer


@pytest.mark.requirement("P-67")
def test_value_is_read_and_set():
    wire = Wire(1, 2)
    wire.client.get(2, 0x101, wire.now)
    assert wire.ask() == (0, 0x3C00)
    wire.client.set(2, 0x101, 0x4200, wire.now)
    assert wire.ask() == (0, 0x4200)
    assert [answers.values[0x101] for answers in wire.answers] == [0x3C00, 0x4200]


def test_value_frames_are_these_bytes():
    wire = Wire(5)
    wire.client.get(5, 0x101, wire.now, pid=3)
    wire.ask()
    sequence = wire.log[0][1][5]
    assert wire.log[0] == (0x400, bytes([0x01, 0x01, 0, 0, 5, sequence, 3, 0]))
    assert wire.log[1] == (0x605, bytes([0x01, 0x01, 0x00, 0x3C, 0, sequence, 3, 0]))


@pytest.mark.parametrize(("oid", "errno"), [(0x999, ENOENT), (0x102, EPERM)])
def test_refusal_comes_back_as_errno(oid, errno):
    wire = Wire(1)
    wire.client.set(1, oid, 1, wire.now)
    assert wire.ask()[0] == errno


@pytest.mark.requirement("P-102")
def test_command_whose_answer_was_lost_is_not_run_twice():
    wire = Wire(1)
    answers = iter([True, True, False])
    wire.lost = lambda ident, data: ident == 0x601 and next(answers)
    wire.client.call(1, 0x700, wire.now)
    assert wire.ask() == (0, 0x701)
    assert wire.answers[0].calls == [(0, 0x700)]
    wire.lost = lambda ident, data: False
    wire.client.call(1, 0x700, wire.now)
    assert wire.ask() == (0, 0x701)
    assert len(wire.answers[0].calls) == 2


def test_all_nodes_are_set_at_once_and_none_answers():
    wire = Wire(1, 2, 3)
    wire.client.set(can.ALL, 0x101, 7, wire.now)
    wire.client.call(can.ALL, 0x700, wire.now)
    wire.step()
    assert all(answers.values[0x101] == 7 for answers in wire.answers)
    assert all(len(answers.calls) == 1 for answers in wire.answers)
    assert len(wire.log) == 2


def test_of_all_nodes_only_those_answer_that_have_a_value():
    wire = Wire(1, 2)
    del wire.answers[0].values[0x101]
    wire.client.get(can.ALL, 0x101, wire.now)
    assert wire.ask() == (0, 0x3C00)
    assert [ident for ident, _ in wire.log] == [0x400, 0x602]


def test_published_value_reaches_the_host():
    wire = Wire(9)
    assert wire.nodes[0].publish(4, 0x101, 0x1234)
    wire.step()
    assert list(wire.client.published) == [(9, 4, 0x101, 0x1234)]


def test_question_without_an_answer_times_out():
    wire = Wire(1)
    wire.client.get(2, 0x101, wire.now)
    assert wire.ask() == (ETIMEDOUT, None)
    assert len(wire.log) == 4


def test_second_question_waits_for_the_first():
    wire = Wire(1)
    wire.client.get(1, 0x101, wire.now)
    with pytest.raises(HsxError) as caught:
        wire.client.get(1, 0x101, wire.now)
    assert caught.value.errno == EBUSY


@pytest.mark.requirement("P-88")
def test_flood_of_questions_is_answered_as_far_as_there_is_room():
    answers = Answers()
    node = CanNode(MemorySink(), 1, answers)
    for n in range(1000):
        node.frame(0x400, bytes([1, 1, 0, 0, 1, n & 0xFF, 0, 0]), 0)
    buf, sent = bytearray(8), 0
    node.poll(0)
    while node.next_frame(buf) >= 0:
        sent += 1
    assert sent == 8
    node.frame(0x400, bytes([1, 1, 0, 0, 1, 7, 0, 0]), 0)
    assert node.poll(1) == 0 and node.next_frame(buf) == 0x601


def test_node_without_a_number_sets_what_all_are_told_and_stays_silent():
    answers = Answers()
    node = CanNode(MemorySink(), UNNUMBERED, answers, b"x")
    buf = bytearray(8)
    for op in range(5):
        for _ in range(20):
            node.frame(op << 7 | 0x400, bytes([1, 1, 7, 0, 127, 1, 0, 0]), 0)
            assert node.poll(0) > 0 and node.next_frame(buf) == -1
    assert answers.values[0x101] == 7


# ---- messages -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 8, 9, 82, 83, 84, 255, 256, 511, 512])
def test_message_of_any_length_is_answered(size):
    wire = Wire(1, 2)
    request = random.Random(size).randbytes(size)
    wire.client.message(2, request, wire.now)
    assert wire.ask() == (0, bytes(reversed(request)))
    assert [answers.messages for answers in wire.answers] == [[], [request]]


@pytest.mark.parametrize("size", [0, 513])
def test_message_that_is_too_long_is_refused(size):
    with pytest.raises(HsxError) as caught:
        CanClient().message(1, bytes(size), 0)
    assert caught.value.errno == EINVAL


@pytest.mark.requirement("P-102")
def test_any_single_lost_fragment_is_got_over_and_nothing_is_done_twice():
    request = bytes(range(40))
    whole = Wire(1)
    whole.client.message(1, request, 0)
    whole.ask()
    for at in range(len(whole.log)):
        wire = Wire(1)
        wire.lost = lambda ident, data, wire=wire, at=at: len(wire.log) == at + 1
        wire.client.message(1, request, wire.now)
        assert wire.ask() == (0, bytes(reversed(request)))
        assert wire.answers[0].messages == [request]


@given(st.lists(st.integers(0, 40), max_size=6), st.booleans())
def test_fragments_in_any_order_never_make_another_message(moves, doubled):
    request = bytes(range(100))
    parts = list(fragments(1, 5, request))
    for at in moves:
        parts.insert(0, parts.pop(at % len(parts)))
    if doubled:
        parts = [part for part in parts for _ in range(2)]
    answers = Answers()
    node = CanNode(MemorySink(), 1, answers)
    for part in parts:
        node.frame(0x680, part, 0)
    assert answers.messages in ([], [request])


def test_message_that_never_becomes_whole_is_forgotten():
    wire = Wire(1)
    first, *rest = fragments(1, 5, bytes(100))
    wire.nodes[0].frame(0x680, first, 0)
    wire.nodes[0].poll(1001)
    for part in rest:
        wire.nodes[0].frame(0x680, part, 1001)
    assert wire.answers[0].messages == []


def test_message_for_all_is_heard_by_all_and_answered_by_none():
    wire = Wire(1, 2)
    wire.client.message(can.ALL, b"hello", wire.now)
    wire.step()
    wire.step()
    assert all(answers.messages == [b"hello"] for answers in wire.answers)
    assert all(ident == 0x680 for ident, _ in wire.log)


def test_node_tells_of_its_own():
    wire = Wire(1, 2)
    assert wire.nodes[0].tell(b"something happened") and wire.nodes[1].tell(b"here too")
    assert not wire.nodes[0].tell(b"too soon")
    wire.step()
    assert list(wire.client.told) == [(1, b"something happened"), (2, b"here too")]


def test_only_the_master_is_answered():
    answers = Answers()
    node = CanNode(MemorySink(), 1, answers)
    for part in fragments(1, 5, b"request"):
        node.frame(0x682, part, 0)
    assert answers.messages == []


# ---- who is there, and numbers ------------------------------------------------------------------


@pytest.mark.requirement("P-67")
def test_who_is_there_is_told_by_all_that_have_a_number():
    wire = Wire(1, 77, UNNUMBERED)
    wire.client.who()
    wire.step()
    assert wire.client.present == {1: short_id(b"node 0"), 77: short_id(b"node 1")}


def test_node_takes_the_number_that_names_its_unique_id():
    wire = Wire(UNNUMBERED, UNNUMBERED)
    wire.client.number(short_id(b"node 1"), 42)
    wire.step()
    assert [node.number for node in wire.nodes] == [UNNUMBERED, 42]
    assert wire.answers[1].numbers == [42]
    assert wire.client.present == {42: short_id(b"node 1")}
    wire.client.get(42, 0x101, wire.now)
    assert wire.ask() == (0, 0x3C00)


@pytest.mark.parametrize("number", [0, 127, 200])
def test_number_out_of_range_is_not_taken(number):
    wire = Wire(UNNUMBERED)
    wire.client.number(short_id(b"node 0"), number)
    wire.step()
    assert wire.nodes[0].number == UNNUMBERED and wire.answers[0].numbers == []


def test_node_that_has_a_number_takes_no_other():
    wire = Wire(3)
    wire.client.number(short_id(b"node 0"), 42)
    wire.step()
    assert wire.nodes[0].number == 3 and wire.answers[0].numbers == []


def test_number_that_cannot_be_kept_is_not_taken():
    wire = Wire(UNNUMBERED)
    wire.answers[0].number = lambda number: EPERM
    wire.client.number(short_id(b"node 0"), 42)
    wire.step()
    assert wire.nodes[0].number == UNNUMBERED


@given(st.lists(st.tuples(st.integers(0x400, 0x6FF), st.binary(max_size=8)), max_size=80))
def test_any_frames_leave_a_node_that_answers(frames):
    wire = Wire(1)
    for ident, data in frames:
        wire.nodes[0].frame(ident, data, wire.now)
        wire.client.frame(ident, data, wire.now)
        wire.step()
    wire.client = CanClient(99)
    wire.now += 6000
    wire.client.message(1, b"still there?", wire.now)
    assert wire.ask() == (0, b"?ereht llits")
