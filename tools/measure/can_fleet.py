# SPDX-License-Identifier: MIT
"""A master and a fleet of nodes on the bus of `can_bus`: the project's own engines at both ends.

Each node takes in what it heard LATENCY later, and its answers go out at once then: the answer to
a frame is on the bus that much behind it. Faults are chosen by `fault(node, frame)`, which gives
what a node receives instead of a frame.
"""

import hashlib
import random
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import Any

from hsx.link.can_master import CanMaster
from hsx.link.can_node import CanNode
from hsxctl.simulate.can_bus import Bus, Frame, Station

LATENCY = 5  # ms
HEADER = bytes(range(144))  # as long as a signed command is
BLOCK = 512

Fault = Callable[[int, Frame], list[Frame]]  # node, frame on the bus -> frames it receives


class MemorySink:
    """Takes a stream into memory. `ordered`: only from the front. `place`: bytes in place at
    begin(). `refuse`, `bad_write`, `bad_end`: an errno to fail with. `kept`: blocks that need not
    be sent. `verifying`: polls that say still at it."""

    def __init__(self, ordered: bool = False, verifying: int = 0) -> None:
        self.needs_order = ordered
        self.digest = b""
        self.data = bytearray()
        self.header = b""
        self.place = 0
        self.refuse = self.bad_write = self.bad_end = 0
        self.kept: dict[int, bytes] = {}
        self.begun = self.aborted = self.written = 0
        self.result = b""  # what was verified last
        self._verifying = verifying
        self._left = 0

    def begin(self, header: memoryview, total: int, source: str, /) -> int:
        if self.refuse:
            return -self.refuse
        self.begun += 1
        self.header = bytes(header)
        if len(self.data) != total:
            self.data = bytearray(total)
            self.place = 0
        return self.place

    def write(self, offset: int, data: memoryview, /) -> int:
        if self.bad_write:
            return -self.bad_write
        if offset + len(data) > len(self.data) or (self.needs_order and offset != self.place):
            raise AssertionError(f"{len(data)} bytes at {offset}, {self.place} in place")
        self.data[offset : offset + len(data)] = data
        self.written += len(data)
        if offset == self.place:
            self.place += len(data)
        return 0

    def holds(self, offset: int, size: int, /) -> bool:
        kept = self.kept.get(offset // BLOCK)
        if kept is None:
            return False
        self.data[offset : offset + size] = kept
        return True

    def end(self) -> int:
        self._left = self._verifying
        return -self.bad_end

    def poll(self, now: int, /) -> int:
        if self._left:
            self._left -= 1
            return 1
        self.digest = hashlib.sha256(self.data).digest()
        self.result = bytes(self.data)
        return 0

    def abort(self) -> None:
        self.aborted += 1
        if self.needs_order:
            self.place = 0


class MasterStation(Station):
    """A master and its controller."""

    def __init__(self, bus: Bus, master: CanMaster, by_identifier: bool = False) -> None:
        super().__init__(bus, by_identifier)
        self.master = master
        self.begun = -1  # bit at which the first BEGIN began to be sent
        self.is_up = True
        self.fault: Callable[[Frame], list[Frame]] | None = None  # what it receives instead
        self._buf = bytearray(8)
        self._tick(bus.now)

    def _tick(self, at: int) -> None:
        if not self.is_up or (self.master.over and not self.queue):
            self.feed()
            return
        wait = self.master.poll(self.bus.ms)
        self.feed()
        self.bus.at(at + max(1, wait) * self.bus.per_ms, self._tick)

    def feed(self) -> None:
        """Fills the controller as far as the master wants it filled."""
        while self.is_up:
            ident = self.master.next_frame(self._buf)
            if ident < 0:
                return
            if self.begun < 0:
                self.begun = self.bus.now
            self.send((ident, bytes(self._buf[: self.master.buf_len])))

    def sent(self, at: int) -> None:
        if self.is_up:
            self.master.sent(self.bus.ms)
            self.feed()

    def failed(self) -> None:
        lost = len(self.queue)
        super().failed()
        for _ in range(lost):
            self.master.sent(self.bus.ms)

    def hear(self, sender: Station, frame: Frame, at: int) -> None:
        if sender is not self and self.is_up:
            for ident, data in self.fault(frame) if self.fault else [frame]:
                self.master.frame(ident, data, self.bus.ms)
            self.master.poll(self.bus.ms)
            self.feed()


class NodeStation(Station):
    """A node and its controller."""

    def __init__(self, bus: Bus, node: CanNode) -> None:
        super().__init__(bus)
        self.node = node
        self.is_up = True
        self._buf = bytearray(8)
        self._wake = -1  # bit of the next poll, -1: none is planned

    def take(self, frames: Iterable[Frame]) -> None:
        """What it received, at the time when it gets to it."""
        ms = self.bus.ms
        for ident, data in frames:
            self.node.frame(ident, data, ms)
        self.poll(self.bus.now)

    def poll(self, at: int) -> None:
        """Its slice: timers, then frames to send."""
        node = self.node
        wait = node.poll(self.bus.ms)
        while wait == 0:
            ident = node.next_frame(self._buf)
            if ident < 0:
                wait = node.poll(self.bus.ms) or 1
                break
            self.send((ident, bytes(self._buf[: node.buf_len])))
        when = at + wait * self.bus.per_ms
        if self._wake < 0 or when < self._wake:
            self._wake = when
            self.bus.at(when, self._on_wake)

    def _on_wake(self, at: int) -> None:
        if at >= self._wake >= 0 and self.is_up:
            self._wake = -1
            self.poll(at)


class Fleet:
    """Nodes 1 to `size` behind one ear: `loss` of frames at each node, or `fault`."""

    def __init__(
        self,
        bus: Bus,
        sinks: list[MemorySink],
        loss: float = 0.0,
        seed: int = 0,
        latency: int = LATENCY,
    ) -> None:
        self.bus = bus
        self.sinks = sinks
        self.nodes = [NodeStation(bus, CanNode(s, n + 1)) for n, s in enumerate(sinks)]
        self.fault: Fault | None = None
        self.index = count()  # of frames on the bus
        self._loss = loss
        self._chance = random.Random(seed).random
        self._latency = latency * bus.per_ms
        bus.listeners.append(self.hear)

    def reset(self, number: int) -> None:
        """Node `number` starts anew, with what its sink kept."""
        old = self.nodes[number - 1]
        old.is_up = False
        old.queue.clear()
        self.bus.senders.discard(old)
        self.nodes[number - 1] = NodeStation(self.bus, CanNode(self.sinks[number - 1], number))

    def hear(self, sender: Station, frame: Frame, at: int) -> None:
        fault, loss, chance = self.fault, self._loss, self._chance
        if fault:
            got = [(n, fault(n.node.number, frame)) for n in self.nodes if n is not sender]
            self.bus.at(at + self._latency, lambda _: self._deliver(got))
        else:
            heard = [n for n in self.nodes if n is not sender and not (loss and chance() < loss)]
            frames = (frame,)
            self.bus.at(at + self._latency, lambda _: self._deliver([(n, frames) for n in heard]))

    def _deliver(self, got: "Sequence[tuple[NodeStation, Iterable[Frame]]]") -> None:
        for node, frames in got:
            if node.is_up:
                node.take(frames)


class Transfer:
    """One transfer to a fleet, from the first BEGIN to the last DONE."""

    def __init__(
        self,
        stream: bytes,
        sinks: list[MemorySink],
        loss: float = 0.0,
        seed: int = 0,
        bitrate: int = 500_000,
        session: int = 0x1234,
        by_identifier: bool = False,
        latency: int = LATENCY,
        **options: Any,
    ) -> None:
        self.stream = stream
        self.bus = Bus(bitrate)
        self.fleet = Fleet(self.bus, sinks, loss, seed, latency)
        self._by_identifier = by_identifier
        self._bitrate = bitrate
        self.master = self.start_master(session, **options)

    def start_master(
        self, session: int, nodes: list[int] | None = None, **options: Any
    ) -> CanMaster:
        """Another host on the bus, for the same stream."""
        digest = hashlib.sha256(self.stream).digest()
        numbers = nodes or [n + 1 for n in range(len(self.fleet.sinks))]
        master = CanMaster(
            self.stream,
            HEADER,
            numbers,
            digest,
            session,
            0.5,
            self.bus.ms,
            bitrate=self._bitrate,
            by_identifier=self._by_identifier,
            **options,
        )
        self.station = MasterStation(self.bus, master, self._by_identifier)
        self.bus.listeners.append(self.station.hear)
        return master

    def run(self, limit_ms: int = 600_000) -> bool:
        """Until the master is through; False: it was not by then."""
        limit = self.bus.now + limit_ms * self.bus.per_ms
        return self.bus.run(lambda: self.master.over, limit)

    @property
    def bits(self) -> int:
        """Bit times from the first BEGIN to the last DONE."""
        return self.bus.now - self.station.begun
