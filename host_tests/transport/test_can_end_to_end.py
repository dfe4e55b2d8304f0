# SPDX-License-Identifier: MIT
"""Both engines of a CAN transfer with the drivers in between: over SLCAN on a pty, and over
simulated controllers while the node's main loop stands still."""

import functools
import hashlib
import random
import threading

import pytest

from bench.pty_uart import PtyUart
from fakes import machine, machine_can, pyb
from fakes.bxcan import RF0R, RF1R
from fakes.canbus import Frame
from hsx.link.can_master import CanMaster
from hsx.link.can_node import CanNode
from hsx.transport import can_machine, can_pyb
from hsx.transport.can_slcan import SlcanRunner
from hsxctl import clock
from hsxctl.connect import can as connect
from measure.can_fleet import HEADER, MemorySink

NODE = 5
FRAME_US = 260  # of 8 bytes at 500 kbit/s, with stuffing


def a_stream(size):
    return random.Random(size).randbytes(size)


def a_master(stream, now):
    return CanMaster(stream, HEADER, [NODE], hashlib.sha256(stream).digest(), 7, 0.0, now)


@pytest.mark.requirement("P-66")
def test_stream_goes_over_slcan_into_a_node():
    uart = PtyUart()
    sink = MemorySink()
    runner = SlcanRunner(uart, CanNode(sink, NODE))
    over = threading.Event()

    def polls():
        while not over.wait(0.003):
            runner.poll(clock.tick())

    thread = threading.Thread(target=polls)
    thread.start()
    try:
        stream = a_stream(20_000)
        options = {"sleep_after_open": 0}
        with connect.CanLink("slcan", uart.path, 500_000, options) as link:
            master = a_master(stream, clock.tick())
            link.run(master, lambda: master.over)
    finally:
        over.set()
        thread.join()
        uart.close()
    assert (master.results, master.repairs) == ({NODE: 0}, 0)
    assert sink.result == stream


class Wire:
    """A master, a bus that is never idle while there is something to send, and a node behind a
    controller, all in simulated time."""

    def __init__(self, runner, can, stream):
        self.clock = machine.sim_clock()
        self.can = can
        self.runner = runner
        self.master = a_master(stream, self.now())
        self._buf = bytearray(8)
        self.clock.sim_at(FRAME_US, self._next)

    def now(self):
        return self.clock.ticks_ms() & 0x1FFFFFFF

    def _next(self):
        """One frame on the bus; the node's goes first, as its identifiers are lower than DATA's
        and the master's LOAD frames are few."""
        self.clock.sim_at(FRAME_US, self._next)
        now = self.now()
        self.master.poll(now)
        frame = self.can.sim_transmit()
        if frame is not None:
            self.master.frame(frame.id, frame.data, now)
            return
        ident = self.master.next_frame(self._buf)
        if ident >= 0:
            self.can.sim_receive(Frame(ident, bytes(self._buf[: self.master.buf_len])))
            self.master.sent(now)


CONTROLLERS = {
    "pyb": (can_pyb.CanRunner, lambda: pyb.CAN(1, pyb.CAN.NORMAL)),
    "machine": (
        functools.partial(can_machine.CanRunner, fifos=(machine.mem32, RF0R, RF1R)),
        lambda: machine_can.CAN(1, 500_000),
    ),
}


@pytest.mark.requirement("P-68")
@pytest.mark.parametrize("stall_ms", [0, 5, 10, 20])
@pytest.mark.parametrize("kind", CONTROLLERS)
def test_stream_arrives_while_the_main_loop_stands_still_again_and_again(kind, stall_ms):
    machine.sim_power_on()
    make, controller = CONTROLLERS[kind]
    can = controller()
    sink = MemorySink()
    runner = make(lambda: can, CanNode(sink, NODE))
    runner.open()
    wire = Wire(runner, can, a_stream(16_384))
    for turn in range(2000):
        if wire.master.over:
            break
        wire.clock.sleep_ms(10 + (stall_ms if turn % 5 == 0 else 0))
        runner.poll(wire.now())
    assert wire.master.results == {NODE: 0}
    assert sink.result == a_stream(16_384)
    stats = runner.stats()
    if stall_ms <= 5:
        assert (stats["lost"], stats["overruns"], wire.master.repairs) == (0, 0, 0)
    else:
        assert stats["lost"] > 0 and wire.master.repairs > 0


@pytest.mark.requirement("P-68")
@pytest.mark.parametrize("masked_ms", [1, 5, 20])
@pytest.mark.parametrize("kind", CONTROLLERS)
def test_frames_that_the_controller_lost_are_asked_for(kind, masked_ms):
    machine.sim_power_on()
    make, controller = CONTROLLERS[kind]
    can = controller()
    sink = MemorySink()
    runner = make(lambda: can, CanNode(sink, NODE))
    runner.open()
    wire = Wire(runner, can, a_stream(16_384))
    for turn in range(2000):
        if wire.master.over:
            break
        wire.clock.sleep_ms(10)
        runner.poll(wire.now())
        if turn % 20 == 0:
            with can.sim_irq_masked():
                wire.clock.sleep_ms(masked_ms)
    assert wire.master.results == {NODE: 0}
    assert sink.result == a_stream(16_384)
    if masked_ms > 1:
        assert runner.stats()["overruns"] > 0
        assert wire.master.repairs > 0
