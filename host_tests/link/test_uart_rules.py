# SPDX-License-Identifier: MIT
"""Each rule of the UART link by itself: frames put into one end by hand, and what it answers."""

import pytest

from bench.uart_engines import HEADER, Echo, StrictSink, UartEngines
from hsx.errors import ETIMEDOUT
from hsx.link.uart_framing import Deframer
from hsx.link.uart_master import SENDING, UartMaster, _frame
from hsx.link.uart_node import UartNode
from measure.uart_line import TO_NODE

CHUNK = 64
DATA = bytes(range(1, 251)) * 4  # 16 frames, the last of 40 bytes
BEGIN = bytes((2, 1, 1, 0, CHUNK, 0, 4)) + len(DATA).to_bytes(3, "little") + HEADER
ACK, STATE = 0x43, 0x42
BROKEN = b"\x05broken\0"


def contents(line: bytes) -> list[bytes]:
    """Of the frames in a line."""
    deframer = Deframer(memoryview(bytearray(2048)))
    found, at = [], 0
    while (at := deframer.take(line, at, len(line))) != 0:
        assert deframer.size
        found.append(bytes(deframer.into[: deframer.size]))
    return found


class Node:
    """A node's engine in a session; `hears` gives the contents of what it says to a line."""

    def __init__(self, ordered: bool = False, window: int = 4) -> None:
        self.sink = StrictSink(ordered)
        self.engine = UartNode(self.sink, Echo(), "UART:2", 600, 400)
        begin = BEGIN[:6] + bytes((window,)) + BEGIN[7:]
        (state,) = self.hears(_frame(begin, True))
        assert state[:7] == bytes((STATE, 1, 0, 1, CHUNK, 0, window))

    def hears(self, *lines: bytes) -> list[bytes]:
        line = b"".join(lines)
        self.engine.receive(line, len(line), 0)
        self.engine.poll(0)
        said = b""
        while (out := self.engine.output()) is not None:
            said += bytes(out)
            self.engine.sent(len(out))
        return contents(said)


def data(index: int) -> bytes:
    return _frame(bytes((0x80 | index & 0x7F,)) + DATA[index * CHUNK : (index + 1) * CHUNK], False)


def ack(number: int, bits: int = 0, broken: bool = False) -> bytes:
    return bytes((ACK, number | broken << 7, bits))


ORDERS = pytest.mark.parametrize("ordered", [False, True], ids=["any_order", "in_order"])


# ---- the node ---------------------------------------------------------------------------------


@pytest.mark.requirement("P-40")
@ORDERS
def test_frames_behind_a_gap_are_told_and_taken_once(ordered):
    node = Node(ordered)
    assert node.hears(data(0)) == [ack(1)]
    assert node.hears(data(2)) == [ack(1, 0b01)]
    assert node.hears(data(2)) == [ack(1, 0b01)]
    assert node.hears(data(4)) == [ack(1, 0b101)]
    assert node.hears(data(3)) == [ack(1, 0b111)]
    assert node.hears(data(1)) == [ack(5)]
    assert node.hears(data(3)) == [ack(5)]
    assert bytes(node.sink.medium.data[: 5 * CHUNK]) == DATA[: 5 * CHUNK]


@ORDERS
def test_frames_behind_a_gap_wait_wherever_the_gap_is(ordered):
    """Where they wait turns with the number of the first; there is room for no more than these."""
    node = Node(ordered, 6)
    order = [0, 2, 1, 3, 5, 6, 4, 9, 8, 10, 11, 12, 7, 14, 13]
    node.hears(*(data(index) for index in order))
    assert node.hears(data(15)) == [ack(16)]
    assert bytes(node.sink.medium.data) == DATA


@ORDERS
def test_a_frame_beyond_the_window_is_left_alone(ordered):
    node = Node(ordered)
    assert node.hears(data(4)) == [ack(0)]
    assert node.hears(data(3)) == [ack(0, 0b100)]


def test_acknowledgements_that_are_owed_at_once_are_one():
    assert Node().hears(data(0), data(1), data(2)) == [ack(3)]


def test_a_broken_frame_is_told_once_until_a_good_one_came():
    node = Node()
    assert node.hears(BROKEN) == [ack(0, broken=True)]
    assert node.hears(BROKEN) == []
    assert node.hears(data(1), BROKEN) == [ack(0, 1, broken=True)]
    assert node.hears(BROKEN, BROKEN) == []
    assert node.hears(data(0)) == [ack(2)]
    assert node.hears(BROKEN) == [ack(2, broken=True)]


def test_a_begin_of_the_session_is_told_where_it_stands():
    node = Node()
    node.hears(data(0), data(2))
    (state,) = node.hears(_frame(BEGIN, True))
    assert state == bytes((STATE, 1, 0, 1, CHUNK, 0, 4, 0, 0, 0, CHUNK, 0, 0, 1))
    assert node.sink.begun == 1


def test_data_without_a_session_is_answered_with_that():
    engine = UartNode(StrictSink(), Echo(), "UART:2")
    frame = data(0)
    engine.receive(frame, len(frame), 0)
    assert contents(bytes(engine.output())) == [bytes((STATE, 0, 0, 0))]


# ---- the host ---------------------------------------------------------------------------------


class Host:
    """A host's engine that was granted a session; `says` are the numbers of its DATA frames."""

    def __init__(self, window: int = 4, offset: int = 0, bits: int = 0) -> None:
        self.engine = UartMaster(lambda: 1, CHUNK, window)
        self.engine.begin(HEADER, DATA)
        assert contents(self.engine.output(0))[0][:7] == bytes((2, 1, 1, 0, CHUNK, 0, window))
        head = bytes((STATE, 1, 0, 1, CHUNK, 0, window, 0, 0, 0))
        self.hears(head + offset.to_bytes(3, "little") + bytes((bits,)))
        assert self.engine.phase == SENDING

    def hears(self, *frames: bytes) -> None:
        for frame in frames:
            self.engine.receive(_frame(frame, True), 0)

    def says(self, most: int = 99) -> list[int]:
        numbers = []
        while len(numbers) < most and (frame := self.engine.output(0)):
            (content,) = contents(frame)
            numbers.append(content[0] & 0x7F)
        return numbers


def test_the_window_moves_with_the_acknowledgement():
    host = Host()
    assert host.says() == [0, 1, 2, 3]
    host.hears(ack(1))
    assert host.says() == [4]
    host.hears(ack(4))
    assert host.says() == [5, 6, 7]
    assert host.engine.placed == 4 * CHUNK


def test_what_was_sent_before_a_frame_that_is_in_is_lost():
    host = Host()
    host.says()
    host.hears(ack(1, 0b010))  # 0 and 3 are in
    assert host.says() == [1, 2, 4]
    host.hears(ack(1, 0b110))  # 4 is in, and was sent after both
    assert host.says() == [1, 2]
    host.hears(ack(2, 0b011))  # 1 is in, and 2 was sent after it
    assert host.says() == [5]


def test_a_broken_frame_is_the_oldest_under_way():
    host = Host()
    host.says()
    host.hears(ack(2, broken=True))
    assert host.says() == [2, 4, 5]
    host.hears(ack(2, 0b01, broken=True))  # 3 is in; 2 was sent again before 4 and 5
    assert host.says() == [2]
    host.hears(ack(4, broken=True))
    assert host.says(1) == [4]


def test_a_loss_that_was_none_is_not_repeated():
    host = Host()
    host.says()
    host.hears(ack(0, broken=True), ack(1))
    assert host.says() == [4]
    assert host.engine.repeats == 0


def test_an_acknowledgement_from_nowhere_changes_nothing():
    host = Host()
    host.says()
    host.hears(ack(100), ack(127, 0xFF), ack(5))
    assert (host.says(), host.engine.placed) == ([], 0)


def test_what_a_state_shows_is_in_is_not_sent():
    host = Host(offset=2 * CHUNK, bits=0b101)  # 0, 1, 3 and 5
    assert host.says() == [2, 4]
    host.hears(ack(4, 0b1))
    assert host.says() == [6, 7]
    host.hears(ack(8))
    assert host.says() == [8, 9, 10, 11]


def test_a_node_that_begins_anew_without_end_is_an_error():
    host = Host()
    engine = host.engine
    anew = bytes((STATE, 1, 0, 1, CHUNK, 0, 4, 0, 0, 0, 0, 0, 0, 0))
    for time in range(1, 40):
        host.says()
        host.hears(ack(2))
        engine.poll(time * 1000)
        engine.output(time * 1000)  # BEGIN: nothing was heard for long
        host.hears(anew)
    assert (engine.outcome, engine.errno, engine.restarts) == ("failed", ETIMEDOUT, 33)


# ---- both, in time ----------------------------------------------------------------------------


def test_a_frame_that_vanishes_is_repeated_without_waiting():
    def fault(way, at, byte):
        if way == TO_NODE and 400 <= at < 600:
            return b""  # two frames and more, with their ends
        return bytes([byte])

    ends = UartEngines(fault=fault)
    assert ends.push(DATA) == "done" and 0 < ends.master.repeats <= 5
    assert ends.line.now < (ends.line.bytes[TO_NODE] + 100) / 11520


def test_a_node_that_was_reset_is_asked_at_once():
    ends = UartEngines()
    ends.master.begin(HEADER, DATA)
    ends.line.run(lambda: ends.sink.medium.placed >= 256)
    ends.reset_node(StrictSink(medium=ends.sink.medium))
    ends.line.run()
    assert ends.master.outcome == "done" and ends.master.restarts == 1
    assert ends.line.now < (ends.line.bytes[TO_NODE] + 150) / 11520
