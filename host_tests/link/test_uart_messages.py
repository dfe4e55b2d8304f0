# SPDX-License-Identifier: MIT
"""Requests, replies and events over a UART, alone and beside a transfer."""

import random

import pytest

from bench.uart_engines import FAULTS, HEADER, StrictSink, UartEngines, one_fault
from hsx.errors import ETIMEDOUT
from hsx.link.uart_master import IDLE
from measure.uart_line import TO_HOST, TO_NODE


def ask(ends: UartEngines, message: bytes):
    """A question and what came of it."""
    question = ends.master.request(message)
    ends.line.run(question.over)
    return question


@pytest.mark.parametrize("size", [0, 1, 239, 240, 241, 480, 500])
def test_a_request_is_answered_however_long_the_reply(size):
    ends = UartEngines(largest=1024)
    message = random.Random(size).randbytes(size)
    assert ask(ends, message).reply == message[::-1]
    assert ends.echo.asked == [message]


def test_each_request_is_acted_on_also_if_it_is_the_same():
    ends = UartEngines()
    for _ in range(300):  # numbers come round
        assert ask(ends, b"again").reply == b"niaga"
    assert len(ends.echo.asked) == 300


@pytest.mark.requirement("P-43")
@pytest.mark.parametrize("direction", [TO_NODE, TO_HOST], ids=["to_node", "to_host"])
@pytest.mark.parametrize("kind", FAULTS)
def test_a_request_is_acted_on_once_whatever_byte_is_wrong(kind, direction):
    ends = UartEngines(largest=512)
    message = bytes(range(250))
    ask(ends, message)
    for number in range(ends.line.bytes[direction]):
        ends = UartEngines(fault=one_fault(direction, number, FAULTS[kind]), largest=512)
        assert ask(ends, message).reply == message[::-1]
        assert ends.echo.asked == [message]


def test_a_request_beside_a_transfer_disturbs_nothing():
    ends = UartEngines()
    data = random.Random(1).randbytes(2000)
    ends.master.begin(HEADER, data)
    for n in range(10):
        ends.line.run(lambda n=n: ends.sink.medium.placed > 150 * n)
        assert ask(ends, b"how far?").reply == b"?raf woh"
    ends.line.run()
    assert ends.master.outcome == "done" and bytes(ends.sink.medium.data) == data
    assert ends.master.repeats == 0


def test_a_request_without_an_answer_is_a_timeout():
    ends = UartEngines(fault=lambda way, at, byte: b"")
    question = ask(ends, b"anyone?")
    assert question.reply is None and question.errno == ETIMEDOUT


def test_hello_tells_what_the_node_takes():
    ends = UartEngines(largest=1024, backlog=1048)
    ends.line.run(ends.master.hello().over)
    assert ends.master.limits == {
        "version": 1,
        "chunk": 1024,
        "window": 2,
        "message": 512,
        "phase": 0,
    }


def test_a_host_that_comes_back_gets_no_reply_to_a_question_of_before():
    ends = UartEngines(token=1)  # of the HELLO: the number of the old question and of the new one
    assert ask(ends, b"old").reply == b"dlo"
    ends.line.master = ends.a_master()  # its numbers begin anew
    ends.line.run(ends.master.hello().over)
    assert ask(ends, b"new").reply == b"wen"
    assert ends.echo.asked == [b"old", b"new"]


def test_events_come_in_order_beside_a_transfer():
    ends = UartEngines()
    data = random.Random(2).randbytes(3000)
    ends.master.begin(HEADER, data)
    told = []
    while ends.master.phase != IDLE:
        ends.line.step()
        event = bytes([len(told)]) * 50
        if len(told) < 20 and ends.line.node.tell(event):
            told.append(event)
    ends.line.run(lambda: len(ends.master.events) == len(told))
    assert len(told) == 20 and ends.master.events == told
    assert bytes(ends.sink.medium.data) == data


def test_an_event_that_cannot_be_sent_now_is_the_callers_to_keep():
    node = UartEngines().line.node
    assert node.tell(b"e" * 255)
    assert not node.tell(b"f")
    node.sent(10)
    assert not node.tell(b"f")
    node.sent(len(node.output()))
    assert node.output() is None and node.tell(b"f")


@pytest.mark.parametrize("step", [1, 3, 64])
def test_a_driver_may_take_the_output_in_any_pieces(step):
    ends = UartEngines()
    node = ends.line.node
    question = ends.master.request(bytes(range(200)))
    line = ends.master.output(0)
    node.receive(line, len(line), 0)
    while node.output() is not None:
        piece = bytes(node.output()[:step])
        node.sent(len(piece))
        ends.master.receive(piece, 0)
    assert question.reply == bytes(range(200))[::-1]


def test_a_node_hears_nothing_of_what_it_says_itself():
    """A line that gives everything back: a cable that is shorted, or half duplex."""
    ends = UartEngines(StrictSink())
    node = ends.line.node
    node.tell(b"hello")
    out = bytes(node.output())
    node.sent(len(out))
    node.receive(out, len(out), 0)
    assert node.output() is None and ends.echo.asked == []


def test_a_host_hears_nothing_of_what_it_says_itself():
    ends = UartEngines()
    master = ends.master
    master.begin(HEADER, b"data")
    out = master.output(0)
    master.receive(out, 0)
    assert master.output(0) == b"" and master.events == []
