# SPDX-License-Identifier: MIT
"""A serial line to the byte: two directions at once, ten bits a byte, in time of its own.

The host's engine and the node's are driven as their runners drive them; every byte that either
gives away is on the line for ten bit times, and reaches the other end when its last bit does. The
node answers `latency` late: what it sends begins so long after what made it send.
"""

import heapq
from collections.abc import Callable
from typing import NamedTuple

from hsx import ticks
from hsx.link.uart_master import IDLE, UartMaster
from hsx.link.uart_node import UartNode

TO_NODE, TO_HOST = 0, 1
BITS = 10  # of a byte: one start bit, eight of data, one stop bit

# What becomes of a byte: direction, its number in that direction, the byte.
Fault = Callable[[int, int, int], bytes]


class _Event(NamedTuple):
    at: float
    order: int
    direction: int
    data: bytes


class Line:
    """`baud`: bits a second. `latency`: seconds. `fault`: what the line does to bytes; None: it
    is a good one. `node` may be replaced, as by a reset."""

    def __init__(
        self,
        master: UartMaster,
        node: UartNode,
        baud: int = 115200,
        latency: float = 0.0,
        fault: Fault | None = None,
    ) -> None:
        self.master = master
        self.node = node
        self.now = 0.0  # seconds
        self.bytes = [0, 0]  # sent in each direction
        self.first = -1.0  # when the host sent its first byte
        self._byte_time = BITS / baud
        self._latency = latency
        self._fault = fault
        self._free = [0.0, 0.0]  # when each direction has sent what it was given
        self._events: list[_Event] = []
        self._order = 0
        self._speaks = -1.0  # when the node sends next what it has to say, -1: no need
        self._node_poll = 0.0

    def ms(self) -> int:
        """The clock of both ends."""
        return ticks.wrap(int(self.now * 1000))

    def send(self, direction: int, data: bytes) -> None:
        """Bytes on the line, behind what is on it."""
        if direction == TO_NODE and self.first < 0:
            self.first = self.now
        begin = max(self.now, self._free[direction])
        self._free[direction] = begin + len(data) * self._byte_time
        number = self.bytes[direction]
        self.bytes[direction] += len(data)
        if self._fault is not None:
            data = b"".join(
                self._fault(direction, number + n, byte) for n, byte in enumerate(data)
            )
        self._order += 1
        event = _Event(self._free[direction], self._order, direction, data)
        heapq.heappush(self._events, event)

    def cut(self) -> None:
        """What is on the line is lost."""
        self._events.clear()

    def step(self) -> None:
        """To the next moment at which something happens."""
        if self._free[TO_NODE] <= self.now:
            frame = self.master.output(self.ms())
            if frame:
                self.send(TO_NODE, frame)
                return
        times = [self.now + max(self.master.poll(self.ms()), 1) / 1000, self._node_poll]
        if self._free[TO_NODE] > self.now:
            times.append(self._free[TO_NODE])
        if self._speaks >= 0:
            times.append(max(self._speaks, self._free[TO_HOST]))
        if self._events:
            times.append(self._events[0].at)
        self.now = max(self.now, min(times))
        self._arrivals()
        if 0 <= self._speaks <= self.now and self._free[TO_HOST] <= self.now:
            self._speak()
        if self._node_poll <= self.now:
            self._poll_node()

    def run(self, done: Callable[[], bool] | None = None, limit: float = 3600.0) -> float:
        """Until the transfer is over, or `done` says so; the time then, in seconds.
        TimeoutError after `limit` seconds of the line's own time."""
        while not (done() if done else self.master.phase == IDLE):
            if self.now > limit:
                raise TimeoutError(f"not over after {limit} s on the line")
            self.step()
        return self.now

    def _arrivals(self) -> None:
        while self._events and self._events[0].at <= self.now:
            event = heapq.heappop(self._events)
            if event.direction == TO_HOST:
                self.master.receive(event.data, self.ms())
            else:
                self.node.receive(event.data, len(event.data), self.ms())
                self._poll_node()

    def _poll_node(self) -> None:
        self._node_poll = self.now + max(self.node.poll(self.ms()), 1) / 1000
        if self._speaks < 0 and self.node.output() is not None:
            self._speaks = self.now + self._latency

    def _speak(self) -> None:
        out = self.node.output()
        if out is not None:
            data = bytes(out)
            self.node.sent(len(data))
            self.send(TO_HOST, data)
        self._speaks = self.now if self.node.output() is not None else -1.0
