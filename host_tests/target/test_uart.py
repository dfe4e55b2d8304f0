# SPDX-License-Identifier: MIT
"""The UART link on the Cortex-M4: real bytes over the board's second port, beside the REPL."""

import hashlib
import random

import pytest

from hsx.errors import EACCES, HsxError
from hsx.link import uart_master
from hsxctl.connect.serial import SerialLink

pytestmark = pytest.mark.target

DATA = random.Random(13).randbytes(9000)
HEADER = bytes(range(100))

LINK = """
import gc, hashlib, hsx, machine, time
from micropython import heap_lock, heap_unlock
from hsx import ticks
from hsx.link.uart_node import UartNode
from hsx.transport.uart import UartRunner

class Sink:
    digest = b""
    refuse = 0

    def __init__(self, needs_order=False):
        self.needs_order = needs_order
        self.data = memoryview(bytearray(9000))
        self.header = None
        self.aborted = 0

    def begin(self, header, total, source):
        self.header = bytes(header)
        return -self.refuse

    def write(self, offset, data):
        self.data[offset : offset + len(data)] = data
        return 0

    def end(self):
        return 0

    def poll(self, now):
        self.digest = hashlib.sha256(self.data).digest()
        return 0

    def abort(self):
        self.aborted += 1

class Echo:
    def message(self, message, now):
        return b"echo: " + bytes(message)

hsx.runtime().stop()  # the port is the node's own

def port():
    return machine.UART(2, 115200, rxbuf=1048)

def serve(sink, count):
    "polls until the count-th session is over"
    engine = UartNode(sink, Echo(), "UART:2")
    runner = UartRunner(port, engine)
    runner.open()
    print("open")
    while count:
        wait = runner.poll(ticks.wrap(time.ticks_ms()))
        if sink.digest or sink.aborted or sink.refuse and sink.header:
            count -= 1
            sink.digest, sink.aborted, sink.header = b"", 0, None
        if wait:
            time.sleep_ms(min(wait, 2))
    for _ in range(50):  # the answer goes out
        runner.poll(ticks.wrap(time.ticks_ms()))
    engine.tell(b"bye")
    while runner.poll(0) == 0:
        pass
    print(runner.stats())
    runner.close()

class Nothing(Sink):
    "allocates nothing"
    def write(self, offset, data):
        return 0
"""


@pytest.fixture
def served(repl, node):
    """Begins a link on the node, with a sink made by `code`, and opens it from the host."""
    repl.run(LINK)

    def serve(code, count=1, **options):
        repl.transport.exec_raw_no_follow(f"serve({code}, {count})")
        repl.transport.read_until(1, b"open\r\n")
        return SerialLink(node.uart2, **options)

    return serve


@pytest.mark.requirement("P-73")
@pytest.mark.parametrize("order", [False, True], ids=["any_order", "in_order"])
def test_a_transfer_and_a_request_over_the_second_port(served, repl, order):
    with served(f"Sink({order})") as link:
        assert link.hello()["window"] == 2
        assert link.request(b"who?") == b"echo: who?"
        assert link.push(HEADER, DATA) == hashlib.sha256(DATA).digest()[:4]
        text, error = repl.end()
        assert error == "" and "'broken': 0" in text
        assert link.events(0.2) == [b"bye"]


def test_a_refusal_has_its_errno_and_the_next_transfer_passes(served, repl):
    repl.run(LINK + "\nsink = Sink()\nsink.refuse = 13")
    with served("sink") as link, pytest.raises(HsxError) as refused:
        link.push(HEADER, DATA)
    assert refused.value.errno == EACCES
    repl.end()
    repl.run("sink.refuse = 0")
    with served("sink") as link:
        link.push(HEADER, DATA)
    repl.end()
    assert repl.run("print(hashlib.sha256(sink.data).digest())") == repr(
        hashlib.sha256(DATA).digest()
    )


def test_ctrl_c_on_the_host_aborts_on_the_node(served, repl):
    def progress(placed, total):
        if placed:
            raise KeyboardInterrupt

    with served("Sink()") as link, pytest.raises(KeyboardInterrupt):
        link.push(HEADER, DATA, progress)
    assert repl.end()[1] == ""


def test_a_data_frame_allocates_nothing_from_the_driver_to_the_answer(repl):
    repl.run(LINK)
    master = uart_master.UartMaster(lambda: 1, chunk=256)
    master.begin(HEADER, bytes(256 * 100))
    begin = master.output(0)
    frames = b"".join(uart_master._frame(bytes([0x80 | n]) + bytes(256), False) for n in range(3))
    code = f"""
class Line:
    "gives the frames back in the driver's pieces"
    def __init__(self):
        self.data = memoryview({frames!r})
        self.at = self.sent = 0
    def any(self):
        return len(self.data) - self.at
    def readinto(self, buf, size):
        for n in range(size):
            buf[n] = self.data[self.at + n]
        self.at += size
        return size
    def write(self, buf):
        self.sent += len(buf)
        return len(buf)
line = Line()
engine = UartNode(Nothing(), Echo(), "UART:2")
begin = {begin!r}
engine.receive(begin, len(begin), 0)
runner = UartRunner(lambda: line, engine)
runner.open()
line.at = len(line.data)
while runner.poll(0) == 0:
    pass
sent = line.sent
line.at = 0

def locked():
    heap_lock()
    try:
        for _ in range(5):
            runner.poll(0)
    finally:
        heap_unlock()

locked()
print(engine.deframer.frames, engine._count, line.sent - sent)
"""
    assert repl.run(code) == "4 3 10"
