# SPDX-License-Identifier: MIT
"""Runs ON a node, behind into_ram.py: a stream over CAN, from the ring of the receiver into the
store, and what the receiver takes of the heap.

The machine has no CAN controller: functions of MicroPython's own stand for those of its driver.
"""

import gc
from binascii import crc32

from hsx.link.can_node import CanNode
from hsx.native import FrameRing
from hsx.service.requests import Requests
from hsx.transport.can_pyb import CanRunner

_FRAMES = const(72)  # noqa: F821  that the ring of a runner holds
_POLL = const(45)  # noqa: F821  frames that 10 ms bring at 500 kbit/s


class Driver:
    recv = send = {}.get
    state = int
    info = list  # a new one, where the driver fills the old one


def heap(make):
    """What `make()` makes, and how much of the heap that takes."""
    gc.collect()
    gc.collect()
    before = gc.mem_alloc()
    made = make()
    gc.collect()
    gc.collect()
    return made, gc.mem_alloc() - before


def ram(sink, frames):
    """Bytes of the heap: the engine with the session that `frames` begin; the ring; what a runner
    has beside it; what values and messages add to the engine."""

    def begun(requests=None):
        engine = CanNode(sink, 5, requests, b"12345678")
        for ident, data in frames:
            engine.frame(ident, data, 0)
        return engine

    begun(Requests(sink._loads, b"12345678", "board", None))  # imports
    engine, bare = heap(begun)
    _, ring = heap(lambda: FrameRing(_FRAMES, 4))
    _, runner = heap(lambda: CanRunner(Driver, engine))
    requests = Requests(sink._loads, b"12345678", "board", None)
    _, whole = heap(lambda: begun(requests))
    print([bare, ring, runner - ring, whole - bare])


class Line:
    """Frames into the ring of a runner, and polls as often as 10 ms of them have come. Time is
    that of the bus, also for the node: it tells its progress four times in a second of it."""

    def __init__(self, sink):
        sink._loads.clock = self.clock
        self.now = 0
        self.runner = CanRunner(Driver, CanNode(sink, 5))
        self.runner._can = Driver
        self._frame = [0, False, False, 0, None]
        self._block = bytearray(512)
        self._waits = 0
        self.ticks = 0

    def clock(self):
        return self.now

    def give(self, ident, data):
        self._frame[0] = ident
        self._frame[4] = data
        self.runner._put(self._frame)
        self._waits += 1
        if self._waits == _POLL:
            self.poll()

    def poll(self):
        gc.collect()  # between two counts, never within one
        self.now += 10
        self.ticks += ticks_of(self.runner.poll, self.now)  # noqa: F821  of on_node.py
        self._waits = 0

    def block(self, number, tag):
        """A block of bytes that no other has, as a BLOCK and 64 DATA frames."""
        parity = number & 1
        block = self._block
        for n in range(512):
            block[n] = (n * 37 + number * 101 + (n >> 3)) & 0xFF
        crc = crc32(block).to_bytes(4, "little")
        head = bytes((number & 0xFF, number >> 8, 64 | parity << 7, tag))
        self.give(0x780, crc + head)
        view = memoryview(block)
        for n in range(64):
            self.give(0x700 | parity << 6 | n, view[8 * n : 8 * n + 8])


def stream(sink, frames, tag, blocks):
    """Ticks of all polls that take `blocks` blocks of a session that `frames` begin."""
    line = Line(sink)
    for ident, data in frames:
        line.give(ident, data)
    line.poll()
    line.ticks = 0
    for number in range(blocks):
        quietly(line.block, number, tag)  # noqa: F821  of on_node.py
    line.poll()
    if line.runner._engine._todo or sink._staging.done != 512 * blocks:
        raise RuntimeError("stream did not arrive")
    sink.abort()
    print(line.ticks)
