# SPDX-License-Identifier: MIT
"""The CAN transports on the Cortex-M4: nothing is allocated for a frame, in interrupts and polls,
and python-can reaches the node over SLCAN."""

import can
import pytest

from measure import can_receive
from measure.node import MeasuringNode

pytestmark = pytest.mark.target

ENGINE = """
from micropython import heap_lock, heap_unlock
from hsx.boot import lock

class Engine:
    "counts what comes, sends `to_send` frames of its own"
    def __init__(self):
        self.buf_len = 8
        self.count = self.sum = self.to_send = 0
    def frame(self, ident, data, now):
        self.count += 1
        self.sum = (self.sum + ident + len(data)) & 0xFFFFFF
        for byte in data:
            self.sum = (self.sum * 3 + byte) & 0xFFFFFF
    def poll(self, now):
        return 10
    def next_frame(self, buf):
        if not self.to_send:
            return -1
        self.to_send -= 1
        buf[0] = self.to_send & 255
        return 0x685

engine = Engine()

def locked(call):
    "its result; whatever allocates in it raises MemoryError"
    heap_lock()
    try:
        return call()
    finally:
        heap_unlock()
"""

# Drivers that allocate nothing: eight frames, of which each callback finds three.
PYB = """
from hsx.transport.can_pyb import CanRunner

class Can:
    MASK16 = 0
    def __init__(self):
        self.sent = 0
        self.waiting = [0, 0]
        self.calls = [None, None]
    def setfilter(self, bank, mode, fifo, params, *, rtr):
        pass
    def rxcallback(self, fifo, call):
        if call is not None:
            self.calls[fifo] = call
    def any(self, fifo):
        return self.waiting[fifo] > 0
    def recv(self, fifo, slot):
        self.waiting[fifo] -= 1
        slot[0] = 0x700
        return slot
    def state(self):
        return 1
    def info(self, values):
        return values
    def send(self, data, ident):
        self.sent += 1
    def interrupt(self):
        self.waiting[0] = 3
        self.calls[0](self, 0)
        self.waiting[1] = 3
        self.calls[1](self, 2)

can = Can()
runner = CanRunner(lambda: can, engine)
runner._slot[4] = memoryview(bytearray(8))  # as the driver's recv shortens it
runner.open()
"""

MACHINE = """
from hsx.transport.can_machine import CanRunner

class Can:
    IRQ_RX = 2
    def __init__(self):
        self.waiting = self.sent = 0
    def set_filters(self, filters):
        pass
    def irq(self, call, trigger, hard):
        self.call = call
    def recv(self, slot):
        if not self.waiting:
            return None
        self.waiting -= 1
        slot[0] = 0x700
        return slot
    def state(self):
        return 1
    def send(self, ident, data):
        self.sent += 1
        return 0
    def interrupt(self):
        self.waiting = 6
        self.call(self)

can = Can()
runner = CanRunner(lambda: can, engine)
runner._slot[1] = memoryview(bytearray(8))  # as the driver's recv shortens it
runner.open()
"""

ROUNDS = """
def rounds():
    for now in range(100):
        for _ in range(5):
            can.interrupt()
        engine.to_send = 2
        runner.poll(now)
    can.interrupt()
    can.interrupt()
    return engine.count

print(lock.run(locked, rounds), can.sent)
"""


@pytest.mark.requirement("P-66")
@pytest.mark.parametrize("driver", [PYB, MACHINE])
def test_interrupts_and_polls_of_a_controller_allocate_nothing(repl, driver):
    assert repl.run(ENGINE + driver + ROUNDS) == "3000 200"


@pytest.mark.requirement("P-88")
def test_a_full_ring_allocates_nothing_and_counts(repl):
    code = "def flood():\n for _ in range(40):\n  can.interrupt()\n return runner.poll(0)\n"
    code += "print(lock.run(locked, flood), engine.count, runner._ring.lost())"
    assert repl.run(ENGINE + PYB + code) == "0 72 168"


SERVE = """
import hsx, machine, time
from hsx.boot import lock
from hsx.transport.can_slcan import SlcanRunner
hsx.runtime().links.runners.clear()  # the node's own runner must not take the bytes
runner = SlcanRunner(machine.UART(3), engine)
runner.open()

def serve():
    "polls until `wanted` frames have come and none is left to go"
    end = time.ticks_add(time.ticks_ms(), 20000)
    while engine.count < wanted or engine.to_send:
        runner.poll(0)
        if time.ticks_diff(end, time.ticks_ms()) < 0:
            break
    for _ in range(100):
        runner.poll(0)
    return engine.count
"""


def total(frames):
    """What the node's engine makes of frames."""
    value = 0
    for ident, data in frames:
        value = (value + ident + len(data)) & 0xFFFFFF
        for byte in data:
            value = (value * 3 + byte) & 0xFFFFFF
    return value


@pytest.mark.requirement("P-66")
def test_python_can_reaches_the_node_over_slcan_and_its_frames_allocate_nothing(node, repl):
    frames = [(0x700 | n & 63, bytes([n & 255] * 8)) for n in range(400)]
    repl.run(ENGINE + SERVE + f"wanted = {len(frames)}")
    with can.Bus(interface="slcan", channel=node.uart3, sleep_after_open=0) as bus:
        repl.run("while not runner.stats()['state']:\n  lock.run(runner.poll, 0)")  # the command O
        repl.begin("engine.to_send = 50\nprint(lock.run(locked, serve), engine.sum)")
        for ident, data in frames:
            bus.send(can.Message(arbitration_id=ident, data=data, is_extended_id=False))
        got = []
        while len(got) < 50:
            message = bus.recv(20)
            assert message is not None
            got.append((message.arbitration_id, message.data[0]))
        printed, error = repl.end()
        assert (printed.strip(), error) == (f"400 {total(frames)}", "")
    assert got == [(0x685, n) for n in range(49, -1, -1)]


def test_way_from_the_bus_to_the_engine_takes_a_third_of_a_frames_instructions(firmware, tmp_path):
    with MeasuringNode(firmware, tmp_path) as node:
        figures = can_receive.count(node)
    by_interrupt = figures["can.m4_insns_interrupt"] + figures["can.m4_insns_handed_on"]
    assert 0 < by_interrupt <= 4000
    assert 0 < figures["can.m4_insns_slcan"] <= 6000
