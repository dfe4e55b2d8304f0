# SPDX-License-Identifier: MIT
"""The node as an SLCAN adapter: lines, hosts that misbehave, and python-can's own host side."""

import random
import threading

import can
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.pty_uart import PtyUart
from fakes import machine
from fakes.machine import UART
from hsx.transport.can_slcan import SlcanRunner
from transport.stub_engine import StubEngine
from waiting import until


class Node:
    """A runner on a simulated UART."""

    def __init__(self):
        machine.sim_power_on()
        self.uart = UART(3, 115200, rxbuf=4096)
        self.engine = StubEngine()
        self.runner = SlcanRunner(self.uart, self.engine)
        self.runner.open()

    def hears(self, text):
        """The node's answer to these bytes."""
        self.uart.sim_receive(text)
        return self.poll()

    def poll(self):
        before = len(self.uart.sim_sent)
        self.runner.poll(0)
        return bytes(self.uart.sim_sent[before:])


@pytest.fixture
def node():
    return Node()


# ---- commands ---------------------------------------------------------------------------------


@pytest.mark.requirement("P-66")
@pytest.mark.parametrize(
    ("line", "reply"),
    [
        (b"\r", b"\r"),
        (b"S6\r", b"\r"),
        (b"s031C\r", b"\r"),
        (b"O\r", b"\r"),
        (b"C\r", b"\r"),
        (b"L\r", b"\r"),
        (b"V\r", b"V1010\r"),
        (b"v\r", b"v0100\r"),
        (b"N\r", b"NHSX1\r"),
        (b"F\r", b"F00\r"),
        (b"M00000000\r", b"\r"),
        (b"mFFFFFFFF\r", b"\r"),
        (b"OO\r", b"\a"),
        (b"Z1\r", b"\a"),
        (b"nonsense\r", b"\a"),
        (b"\n\r", b"\a"),
    ],
)
def test_command_is_answered(node, line, reply):
    assert node.hears(line) == reply


def test_frame_of_the_host_reaches_the_engine_once_the_channel_is_open(node):
    assert node.hears(b"t7012ABCD\r") == b"\a"
    assert node.hears(b"O\rt7012ABCD\r") == b"\r\r"
    assert node.engine.received == [(0x701, b"\xab\xcd")]
    assert node.hears(b"C\rt7012ABCD\r") == b"\r\a"
    assert len(node.engine.received) == 1


def test_host_that_only_listens_cannot_send(node):
    node.engine.to_send = [(0x685, b"x")]
    assert node.hears(b"L\rt7010\r") == b"\r\at685178\r"
    assert node.engine.received == []


def test_frames_of_the_node_wait_until_the_channel_is_open(node):
    node.engine.to_send = [(0x685, bytes(range(n))) for n in (0, 3, 8)]
    assert node.poll() == b""
    assert node.hears(b"O\r") == b"\rt6850\rt6853000102\rt68580001020304050607\r"


@pytest.mark.parametrize("line", [b"T000007000\r", b"r7010\r", b"R000007010\r", b"T1\r"])
def test_extended_and_remote_frames_have_no_station_that_listens(node, line):
    node.hears(b"O\r")
    assert node.hears(line) == b"\r"
    assert node.engine.received == []


@pytest.mark.parametrize("line", [b"t70\r", b"t7012AB\r", b"t7019\r", b"tXYZ0\r", b"tFFF0\r"])
def test_malformed_frame_is_refused_and_counted(node, line):
    node.hears(b"O\r")
    assert node.hears(line) == b"\a"
    assert (node.engine.received, node.runner.stats()["lost"]) == ([], 1)


def test_line_without_an_end_is_dropped_up_to_the_next_end(node):
    node.hears(b"O\r")
    assert node.hears(b"t7012ABCD" * 100 + b"\rt7011EE\r") == b"\a\r"
    assert node.engine.received == [(0x701, b"\xee")]


def test_opening_forgets_what_came_before(node):
    node.uart.sim_receive(b"O\rt70")
    node.runner.open()
    assert node.hears(b"O\r") == b"\r"


def test_closing_ends_the_channel(node):
    node.hears(b"O\r")
    node.runner.close()
    node.engine.to_send = [(0x685, b"x")]
    assert node.poll() == b""
    assert node.runner.stats()["state"] == 0


# ---- splits and floods ------------------------------------------------------------------------

TALK = b"S6\rO\rt70080011223344556677\rt7800\rV\rt7F31AABBCC\rt6803000102\r" * 9


def whole(node):
    answer = node.hears(TALK)
    while node.uart.any():
        answer += node.poll()
    return answer, node.engine.received


@given(st.lists(st.integers(1, 300), min_size=1, max_size=40))
def test_any_split_of_the_bytes_gives_the_same(sizes):
    node = Node()
    answer, at = b"", 0
    for size in sizes:
        answer += node.hears(TALK[at : at + size])
        at += size
    answer += node.hears(TALK[at:])
    while node.uart.any():
        answer += node.poll()
    assert (answer, node.engine.received) == whole(Node())


@pytest.mark.requirement("P-68")
@given(st.lists(st.binary(max_size=400), max_size=20))
def test_arbitrary_bytes_never_raise_and_leave_the_node_able_to_talk(chunks):
    node = Node()
    for chunk in chunks:
        node.hears(chunk)
    while node.uart.any():
        node.poll()
    node.hears(b"\rC\r")
    node.engine.received.clear()
    assert node.hears(b"O\rt7011AA\r") == b"\r\r"
    assert node.engine.received == [(0x701, b"\xaa")]


@pytest.mark.requirement("P-68")
@pytest.mark.parametrize("seed", range(30))
def test_damaged_lines_never_raise_and_whole_ones_still_arrive(seed):
    chance = random.Random(seed)
    node = Node()
    node.hears(b"O\r")
    for _ in range(300):
        line = bytearray(b"t7008%016X\r" % chance.getrandbits(64))
        for _ in range(chance.randrange(3)):
            line[chance.randrange(len(line))] = chance.choice(b"\r\a\nOCLtTrR0F\x00\xff")
        node.hears(bytes(line[: chance.randrange(len(line) + 1)]))
    node.hears(b"\rO\r")
    node.engine.received.clear()
    node.hears(b"t7008" + b"5A" * 8 + b"\r")
    assert node.engine.received == [(0x700, b"\x5a" * 8)]


@pytest.mark.requirement("P-88")
def test_flood_ends_a_poll_and_asks_for_another_at_once(node):
    node.uart.sim_receive(b"O\r" + b"t7010\r" * 600)
    assert node.runner.poll(0) == 0
    assert 200 < len(node.engine.received) < 400
    assert node.runner.poll(0) == 0
    assert node.runner.poll(0) == 100
    assert len(node.engine.received) == 600


class Narrow(UART):
    """A UART that takes a few bytes of a write, or none."""

    def write(self, buf):
        count = min(len(buf), self.sim_room)
        self.sim_room -= count
        self.sim_sent += bytes(buf[:count])
        return count or None


def test_line_goes_out_whole_however_little_the_uart_takes():
    for room in range(1, 23):
        machine.sim_power_on()
        engine = StubEngine()
        uart = Narrow(3, 115200, rxbuf=512)
        uart.sim_room = 1
        runner = SlcanRunner(uart, engine)
        uart.sim_receive(b"O\r")
        runner.poll(0)
        engine.to_send = [(0x685, bytes(range(8))), (0x605, b"\x01\x02")]
        for _ in range(40):
            uart.sim_room = room
            uart.sim_receive(b"V\r")
            runner.poll(0)
        lines = bytes(uart.sim_sent).split(b"\r")
        assert b"t68580001020304050607" in lines
        assert b"t60520102" in lines
        assert set(lines[:-1]) <= {b"", b"V1010", *(b"t68580001020304050607", b"t60520102")}


# ---- python-can -------------------------------------------------------------------------------


@pytest.fixture
def polled():
    """A runner on a pty, polled by a thread as by a node's timer; its engine, and the path."""
    uart = PtyUart()
    engine = StubEngine()
    runner = SlcanRunner(uart, engine)
    over = threading.Event()

    def run():
        while not over.wait(0.002):
            runner.poll(0)

    thread = threading.Thread(target=run)
    thread.start()
    yield engine, uart.path
    over.set()
    thread.join()
    uart.close()


@pytest.mark.requirement("P-66")
def test_python_can_talks_to_the_node_as_to_an_adapter(polled):
    engine, path = polled
    with can.Bus(interface="slcan", channel=path, bitrate=500_000, sleep_after_open=0) as bus:
        frames = [(0x700 | n & 63, bytes([n & 255] * (n % 9))) for n in range(300)]
        for ident, data in frames:
            bus.send(can.Message(arbitration_id=ident, data=data, is_extended_id=False))
        until(lambda: len(engine.received) == len(frames))
        assert engine.received == frames
        sent = [(0x685, bytes(range(n % 9))) for n in range(100)]
        engine.to_send = list(sent)
        got = []
        while len(got) < len(sent):
            message = bus.recv(10)
            assert message is not None
            assert not message.is_extended_id
            got.append((message.arbitration_id, bytes(message.data)))
        assert got == sent
        assert bus.get_version(10) == (10, 10)
        assert bus.get_serial_number(10) == "HSX1"
