# SPDX-License-Identifier: MIT
"""A CAN bus on the desk: emulated nodes and programs as stations of one bus, in one loop.

Arbitration and bit times are those of `can_bus`; here its stations are sockets that speak SLCAN
(LAWICEL's ASCII protocol), and its time is tied to the clock. A frame is received by every station
but its sender, if no fault that was asked for is in the way.

Time is the bus's: it goes on with the clock while the bus is idle, and bit by bit while frames
are on it. It stands still as long as a node has WINDOW frames before it: emulated nodes share the
cores of one machine, and the bus must not run away from them. `elapsed_ms` of the statistics less
`bus_ms` is what that took.

Not modelled: what `can_bus` does not model; the error frame of a receiver; the bit rate of each
station; a bus cut in two still has one arbitration.
"""

import heapq
import random
import selectors
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from . import slcan_line as slcan
from .can_bus import Bus, Frame, Station

WINDOW = 32  # frames that a node may have before it, not yet taken
_STALLED = 0.25  # seconds without a frame taken: the bus waits no longer
_QUEUE = 64  # frames that a station has to send; more wait in its socket
_BACKLOG = 1 << 18  # bytes that a program has not read: what comes then is lost
_CHUNK = 1 << 16
_OPEN_EVERY = 0.1  # seconds between attempts to open a node's channel
_CATCH_UP = 0.005  # seconds that the bus may be behind the clock and run faster
_AT_ONCE = 8  # frames in one turn of a bus that does not wait for the clock
_HELD = 0.02  # seconds after which nodes that hold the bus are looked at again
_LONGEST = 1.0  # seconds of one wait


class Cut(NamedTuple):
    """The stations of these names hear only each other from `begin` to `end`, seconds of the bus's
    time; end 0: for good."""

    names: frozenset[str]
    begin: float = 0.0
    end: float = 0.0


class Faults(NamedTuple):
    """`loss`, `duplicate`: the share of frames that a receiver does not get, or gets twice.
    `delay`: ms that each takes to it."""

    loss: float = 0.0
    duplicate: float = 0.0
    delay: float = 0.0


NO_FAULTS = Faults()


class Port(Station):
    """A station behind a socket. `name`: as statistics and cuts call it."""

    def __init__(self, bench: "Bench", link: socket.socket, name: str) -> None:
        super().__init__(bench.bus)
        link.setblocking(False)
        self.bench = bench
        self.link = link
        self.name = name
        self.is_open = False
        self.is_cut = False
        self.transmitted = self.received = self.lost = self.doubled = self.overrun = 0
        self.out = bytearray()
        self._in = bytearray()
        self.mask = 0  # what the selector looks for

    def facts(self) -> dict[str, Any]:
        """Its statistics."""
        names = ("transmitted", "received", "lost", "doubled", "overrun")
        return {"name": self.name, **{name: getattr(self, name) for name in names}}

    def hear(self, frame: Frame, at: int) -> None:
        """A frame reaches the station, which may be closed or not keep up."""
        raise NotImplementedError

    def take(self, line: bytes) -> None:
        """A line came in, without its end."""
        raise NotImplementedError

    def read(self) -> None:
        """Takes what is there."""
        try:
            data = self.link.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.bench.drop(self)
            return
        data = data.replace(slcan.BAD, slcan.BAD + b"\r")  # it ends a line by itself
        lines = (self._in + data).split(b"\r")
        self._in = lines.pop()[-slcan.LONGEST :]
        for line in lines:
            self.take(bytes(line))

    def flush(self) -> None:
        """Hands on as much as the socket takes."""
        if self.out:
            try:
                del self.out[: self.link.send(self.out)]
            except BlockingIOError:
                pass
            except OSError:
                self.bench.drop(self)
                return
        self.watch()

    def watch(self) -> None:
        """Has the selector look for what can be done."""
        mask = selectors.EVENT_READ if len(self.queue) < _QUEUE else 0
        mask |= selectors.EVENT_WRITE if self.out else 0
        if mask == self.mask:
            return
        selector = self.bench.selector
        if not mask:
            selector.unregister(self.link)
        elif self.mask:
            selector.modify(self.link, mask, self.act)
        else:
            selector.register(self.link, mask, self.act)
        self.mask = mask

    def act(self, mask: int) -> None:
        """The socket is ready."""
        if mask & selectors.EVENT_READ:
            self.read()
        if mask & selectors.EVENT_WRITE:
            self.flush()

    def sent(self, at: int) -> None:
        self.transmitted += 1


class NodePort(Port):
    """A node: an SLCAN adapter, whose channel is opened as soon as it answers. `greeting`: a frame
    for it alone, when it is."""

    def __init__(
        self, bench: "Bench", link: socket.socket, name: str, greeting: Frame | None = None
    ) -> None:
        super().__init__(bench, link, name)
        self.before_it = 0  # lines that it has not answered
        self._greeting = greeting
        self._asked = 0.0
        self._answered = 0.0
        self._is_stalled = False
        self._tried = 0.0

    def hear(self, frame: Frame, at: int) -> None:
        if not self.is_open:
            return
        if self._is_stalled:
            now = self.bench.clock()
            if now - self._tried < _STALLED:
                self.overrun += 1
                return
            self._tried = now  # one goes through, in case that it only lost an answer
        self.received += 1
        self._tell(slcan.plain(frame))

    def take(self, line: bytes) -> None:
        if line[:1] == b"t":
            frame = slcan.frame(line)
            if frame is not None:
                self.send(frame)
                return
        self.before_it = 0 if self._is_stalled else max(0, self.before_it - 1)
        self._is_stalled = False
        self._answered = self.bench.clock()
        if slcan.BAD in line:
            self.is_open = False  # it was reset
        elif not self.is_open:
            self.is_open = True
            if self._greeting is not None:
                self._tell(slcan.plain(self._greeting))

    def open(self, now: float) -> None:
        """Asks a closed one to open its channel."""
        if not self.is_open and now - self._asked >= _OPEN_EVERY:
            self._asked = now
            self.out += slcan.OPEN

    def is_behind(self, now: float) -> bool:
        """Whether the bus has to wait for it."""
        if self.before_it < WINDOW or self._is_stalled:
            return False
        if now - self._answered < _STALLED:
            return True
        self._is_stalled = True  # until it answers it loses what comes
        self._tried = now
        return False

    def _tell(self, line: bytes) -> None:
        if not self.before_it:
            self._answered = self.bench.clock()
        self.before_it += 1
        self.out += line


class ProgramPort(Port):
    """A program, for which the bus is an SLCAN adapter. An answer to a frame comes when the frame
    has left the bus: `z`, or `Z` for an extended one; BAD when it was lost there."""

    def __init__(self, bench: "Bench", link: socket.socket, name: str) -> None:
        super().__init__(bench, link, name)
        self._stamps = slcan.NO_STAMPS
        self._is_listening = False

    def hear(self, frame: Frame, at: int) -> None:
        if not self.is_open:
            return
        if len(self.out) > _BACKLOG:
            self.overrun += 1
            return
        self.received += 1
        self.out += slcan.stamped(frame, self._stamps, self.bench.microseconds(at))

    def take(self, line: bytes) -> None:
        frame = slcan.frame(line)
        if frame is not None:
            if self.is_open and not self._is_listening:
                self.send(frame)
                self.watch()
            else:
                self.out += slcan.BAD
            return
        kind = line[:1]
        if line in (b"O", b"L"):
            self.is_open = True
            self._is_listening = kind == b"L"
        elif line == b"C":
            self.is_open = False
        elif line in slcan.STAMPS:
            self._stamps = slcan.STAMPS[line]
        elif line in slcan.ANSWERS:
            self.out += slcan.ANSWERS[line]
            return
        elif kind not in b"SsMmW":  # bit rate and filters are the bus's business
            self.out += slcan.BAD
            return
        self.out += b"\r"

    def start(self) -> None:
        super().start()
        self._going = self.queue[0]

    def sent(self, at: int) -> None:
        super().sent(at)
        self.out += slcan.done(self._going[0], self._stamps, self.bench.microseconds(at))

    def failed(self) -> None:
        self.out += slcan.BAD * len(self.queue)
        super().failed()


class Bench:
    """The bus and who is on it. `port`: where it listens for programs on this machine, 0: where
    there is room. `fast`: it does not wait for the clock, which gives seconds. Everything random
    comes from `seed`. OSError: the port is taken."""

    def __init__(
        self,
        bitrate: int = 500_000,
        faults: Faults = NO_FAULTS,
        cuts: Iterable[Cut] = (),
        seed: int = 0,
        fast: bool = False,
        port: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.clock = clock
        self.bus = Bus(bitrate)
        self.bus.listeners.append(self._spread)
        self.faults = faults
        self.ports: list[Port] = []
        self.selector = selectors.DefaultSelector()
        self.gone: Callable[[Port], object] = lambda port: None
        self._cuts = list(cuts)
        self._random = random.Random(seed).random
        self._fast = fast
        self._is_held = False  # by a node that does not keep up
        self._bitrate = bitrate
        self._budget = 0.0  # bits that the clock is ahead of the bus
        self._begun = self._last = clock()
        self._late: list[tuple[int, int, Port, Frame]] = []  # frames on their way, by their bit
        self._order = 0
        self._programs = 0
        self._server = socket.create_server(("127.0.0.1", port))
        self._server.setblocking(False)
        self.selector.register(self._server, selectors.EVENT_READ, self._accept)
        self.channel = f"127.0.0.1:{self._server.getsockname()[1]}"

    def add_node(self, link: socket.socket, name: str, greeting: Frame | None = None) -> NodePort:
        """A node at the other end of a socket, which belongs to the bench from now on."""
        port = NodePort(self, link, name, greeting)
        self._add(port)
        return port

    def drop(self, port: Port) -> None:
        """A station is no more."""
        if port not in self.ports:
            return
        self.ports.remove(port)
        self.bus.senders.discard(port)
        if port.mask:
            self.selector.unregister(port.link)
        port.link.close()
        self.gone(port)

    def cut(self, names: Iterable[str]) -> None:
        """From now on these stations hear only each other."""
        self._cuts.append(Cut(frozenset(names), self.seconds))

    def heal(self) -> None:
        """All hear all, whatever was cut or was to be."""
        self._cuts.clear()

    @property
    def seconds(self) -> float:
        """The bus's time."""
        return self.bus.now / self._bitrate

    def microseconds(self, at: int) -> int:
        """The same of a bit."""
        return at * 1_000_000 // self._bitrate

    def stats(self) -> dict[str, Any]:
        """Times since the start, frames on the wire, and the statistics of each station."""
        per_ms = self._bitrate / 1000
        return {
            "bus_ms": round(self.bus.now / per_ms, 3),
            "busy_ms": round(self.bus.busy / per_ms, 3),
            "busy_bits": self.bus.busy,
            "elapsed_ms": round((self.clock() - self._begun) * 1000, 3),
            "frames": self.bus.frames,
            "stations": [port.facts() for port in self.ports],
        }

    def run(self, timeout: float) -> None:
        """One turn: waits up to `timeout` seconds for something to do, and does it."""
        ready = self.selector.select(self._wait(timeout))
        now = self.clock()
        self._pass_time(now)
        for key, mask in ready:
            key.data(mask)
        nodes = [port for port in self.ports if isinstance(port, NodePort)]
        for node in nodes:
            node.open(now)
        self._arrange()
        self._is_held = any(node.is_behind(now) for node in nodes)
        if not self._is_held:
            self._transmit()
        self._deliver()
        for port in list(self.ports):
            port.flush()

    def close(self) -> None:
        """Leaves all stations alone."""
        for port in list(self.ports):
            self.drop(port)
        self.selector.unregister(self._server)
        self._server.close()
        self.selector.close()

    # ---- inside ----

    def _wait(self, timeout: float) -> float:
        if self.bus.senders:
            if self._is_held:
                return min(timeout, _HELD)
            return 0.0 if self._fast else max(0.0, min(timeout, -self._budget / self._bitrate))
        if self._late:
            timeout = min(timeout, (self._late[0][0] - self.bus.now) / self._bitrate)
        if not all(port.is_open for port in self.ports):
            timeout = min(timeout, _OPEN_EVERY)
        return max(0.0, min(timeout, _LONGEST))

    def _pass_time(self, now: float) -> None:
        """An idle bus goes with the clock; a busy one may make up for a little of it."""
        self._budget += (now - self._last) * self._bitrate
        self._last = now
        if not self.bus.senders:
            bits = max(0, int(self._budget))
            self.bus.now += bits
            self._budget -= bits
            self.bus.act(self.bus.now)
        elif self._is_held or self._fast:
            self._budget = min(self._budget, 0.0)
        else:
            self._budget = min(self._budget, _CATCH_UP * self._bitrate)

    def _transmit(self) -> None:
        """What the bus carries up to the clock's time; if it is fast, some frames in any case."""
        bus = self.bus
        frames = 0
        while bus.senders and (frames < _AT_ONCE if self._fast else self._budget >= 0):
            before = bus.now
            bus.transmit()
            frames += 1
            if not self._fast:
                self._budget -= bus.now - before

    def _arrange(self) -> None:
        """Who is cut off now."""
        if self._cuts or any(port.is_cut for port in self.ports):
            now = self.seconds
            names: set[str] = set()
            for cut in self._cuts:
                if cut.begin <= now and (not cut.end or now < cut.end):
                    names |= cut.names
            for port in self.ports:
                port.is_cut = port.name in names

    def _spread(self, sender: Station, frame: Frame, at: int) -> None:
        loss, duplicate, delay = self.faults
        chance = self._random
        is_cut = isinstance(sender, Port) and sender.is_cut
        for port in self.ports:
            if port is sender or port.is_cut != is_cut:
                continue
            if loss and chance() < loss:
                port.lost += 1
                continue
            times = 1
            if duplicate and chance() < duplicate:
                port.doubled += 1
                times = 2
            for _ in range(times):
                if delay:
                    self._order += 1
                    due = at + int(delay * self._bitrate / 1000)
                    heapq.heappush(self._late, (due, self._order, port, frame))
                else:
                    port.hear(frame, at)

    def _deliver(self) -> None:
        while self._late and self._late[0][0] <= self.bus.now:
            at, _, port, frame = heapq.heappop(self._late)
            if port in self.ports:
                port.hear(frame, at)

    def _add(self, port: Port) -> None:
        self.ports.append(port)
        port.watch()

    def _accept(self, mask: int) -> None:
        link, _ = self._server.accept()
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._programs += 1
        self._add(ProgramPort(self, link, f"program {self._programs}"))
