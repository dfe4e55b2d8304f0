# SPDX-License-Identifier: MIT
"""Both protocol engines of a UART link, without a node: a strict sink, an echo of requests, faults
of a line."""

from hsx.errors import EIO
from hsx.link.uart_master import UartMaster
from hsx.link.uart_node import UartNode
from measure.uart_line import Fault, Line

HEADER = bytes(range(1, 65))


class Medium:
    """What outlives a reset of the node: bytes, and how many of them are in place."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.placed = 0


class StrictSink:
    """Takes a transfer and refuses what an engine must not do: gaps where order is needed, bytes
    that were written before, writes outside a session. `refuse`: errno of begin, `fail_at`: the
    offset from which writes fail, `polls`: how often it is asked before it has verified."""

    def __init__(
        self,
        needs_order: bool = False,
        medium: Medium | None = None,
        refuse: int = 0,
        fail_at: int = 1 << 24,
        polls: int = 3,
        bad: int = 0,
    ) -> None:
        self.needs_order = needs_order
        self.medium = Medium() if medium is None else medium
        self.refuse, self.fail_at, self.polls, self.bad = refuse, fail_at, polls, bad
        self.open = False
        self.begun = self.aborted = 0
        self.digest = b""
        self.header = self.source = None
        self._written: bytearray = bytearray()
        self._left = 0

    def begin(self, header, total, source):
        assert not self.open
        self.begun += 1
        self.header, self.source = bytes(header), source
        if self.refuse:
            return -self.refuse
        if self.needs_order:
            self.medium.placed = 0
        if len(self.medium.data) != total:
            self.medium.data, self.medium.placed = bytearray(total), 0
        self._written = bytearray(total)
        self._next = self.medium.placed
        self.open = True
        return self.medium.placed

    def write(self, offset, data):
        assert self.open and len(data) > 0
        end = offset + len(data)
        assert self.medium.placed <= offset and end <= len(self.medium.data)
        assert not any(self._written[offset:end])
        assert not self.needs_order or offset == self._next
        if end > self.fail_at:
            self.open = False
            return -EIO
        self._next = end
        self.medium.data[offset:end] = data
        self._written[offset:end] = bytes([1]) * len(data)
        if not self.needs_order:
            while self.medium.placed < len(self._written) and self._written[self.medium.placed]:
                self.medium.placed += 1
        return 0

    def end(self):
        assert self.open and (self.needs_order or self.medium.placed == len(self.medium.data))
        self._left = self.polls
        return 0

    def poll(self, now):
        assert self.open
        if self._left:
            self._left -= 1
            return 1
        self.open = False
        self.digest = bytes(self.medium.data[-4:]).rjust(4, b"\0") + b"more"
        return -self.bad

    def abort(self):
        self.open = False
        self.aborted += 1


class Echo:
    """Answers a message with itself turned round, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    def message(self, message, now):
        self.asked.append(bytes(message))
        return bytes(message)[::-1]


class UartEngines:
    """The host's engine and the node's, joined by a line."""

    def __init__(
        self,
        sink: StrictSink | None = None,
        fault: Fault | None = None,
        latency: float = 0.0,
        baud: int = 115200,
        chunk: int = 64,
        window: int = 8,
        largest: int = 600,
        backlog: int = 400,
        token: int = 0x1234,
    ) -> None:
        self.sink = StrictSink() if sink is None else sink
        self.echo = Echo()
        self.shape = {"chunk": largest, "backlog": backlog}
        self.tokens = iter(range(token, 0x10000))
        self.wish = {"chunk": chunk, "window": window, "rate": baud // 10}
        self.line = Line(self.a_master(), self.a_node(), baud, latency, fault)

    def a_node(self) -> UartNode:
        return UartNode(self.sink, self.echo, "UART:2", **self.shape)

    def a_master(self) -> UartMaster:
        return UartMaster(self.tokens.__next__, **self.wish)

    @property
    def master(self) -> UartMaster:
        return self.line.master

    def reset_node(self, sink: StrictSink) -> None:
        """A node with a new sink; what was under way to the old one is lost with it."""
        self.sink = sink
        self.line.node = self.a_node()

    def push(self, data: bytes, header: bytes = HEADER) -> str:
        """A transfer from begin to its outcome."""
        self.master.begin(header, data)
        self.line.run()
        return self.master.outcome


def one_fault(direction: int, number: int, becomes) -> Fault:
    """Does something to one byte of one direction and leaves all others alone."""

    def fault(way: int, at: int, byte: int) -> bytes:
        if (way, at) != (direction, number):
            return bytes([byte])
        return becomes(byte)

    return fault


FAULTS = {
    "lost": lambda byte: b"",
    "changed": lambda byte: bytes([byte ^ 0x10]),
    "to_zero": lambda byte: b"\0" if byte else b"\1",
    "doubled": lambda byte: bytes([byte, byte]),
    "inserted": lambda byte: bytes([byte, 0x55]),
    "zero_inserted": lambda byte: bytes([byte, 0]),
}
