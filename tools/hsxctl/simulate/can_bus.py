# SPDX-License-Identifier: MIT
"""A CAN bus in bit times: stuffing and CRC-15, arbitration, and stations that lose frames.

Time is counted in bits of the bus. A frame takes the bits of ISO 11898-1's classic formats, stuff
bits and the three bits between frames included. Whoever has a frame when the bus falls idle takes
part in the arbitration; the lowest identifier wins. Two stations that send different bytes under
one identifier cost an error frame, again and again, until both are bus-off.

A frame is (identifier, data). EXTENDED and REMOTE are added to the identifier of such a frame; the
data of a REMOTE one are not sent, they only have the length that it asks for.

Not modelled: acknowledgement (someone always listens), error counters apart from that, clocks that
drift, and errors on the wire seen by all (a repeated frame is only later).
"""

import heapq
from collections import deque
from collections.abc import Callable
from functools import lru_cache

ERROR_FRAME = 23  # bits: flags, delimiter, space
BUS_OFF = 32  # collisions
_TAIL = 13  # bits behind the CRC: delimiters, acknowledgement, end, space between frames

EXTENDED = 1 << 29  # its identifier has 29 bits
REMOTE = 1 << 30

Frame = tuple[int, bytes]


def rank(ident: int) -> int:
    """What stations compare bit by bit in the arbitration: the lower one wins."""
    remote = ident >> 30 & 1
    if ident & EXTENDED:
        return (ident >> 18 & 0x7FF) << 21 | 3 << 19 | (ident & 0x3FFFF) << 1 | remote
    return (ident & 0x7FF) << 21 | remote << 20


@lru_cache(maxsize=1 << 16)
def bits(ident: int, data: bytes) -> int:
    """Bits of a frame, the space behind it included."""
    if ident & EXTENDED:  # SOF and what is compared; r1, r0, length
        value = rank(ident) << 6 | len(data)
        length = 39
    else:  # the same without the lower identifier; IDE, r0, length
        value = rank(ident) >> 20 << 6 | len(data)
        length = 19
    for byte in b"" if ident & REMOTE else data:
        value = value << 8 | byte
        length += 8
    crc = 0
    for at in range(length - 1, -1, -1):
        crc = (crc << 1 ^ (0x4599 if (crc >> 14 ^ value >> at) & 1 else 0)) & 0x7FFF
    value = value << 15 | crc
    length += 15
    stuffed = 0
    run, last = 0, -1
    for at in range(length - 1, -1, -1):
        bit = value >> at & 1
        run = run + 1 if bit == last else 1
        last = bit
        if run == 5:
            stuffed += 1
            last ^= 1
            run = 1
    return length + stuffed + _TAIL


class Station:
    """Who sends on a bus: a queue, kept in order, or by identifier as most controllers do."""

    def __init__(self, bus: "Bus", by_identifier: bool = False) -> None:
        self.bus = bus
        self.queue: deque[Frame] = deque()
        self._by_identifier = by_identifier
        self._is_sending = False

    def send(self, frame: Frame) -> None:
        """Puts a frame into the queue."""
        if self._by_identifier:
            at = 1 if self._is_sending else 0
            while at < len(self.queue) and self.queue[at][0] <= frame[0]:
                at += 1
            self.queue.insert(at, frame)
        else:
            self.queue.append(frame)
        self.bus.senders.add(self)

    def start(self) -> None:
        """The head is going out: nothing overtakes it any more."""
        self._is_sending = True

    def stop(self) -> None:
        """The head is out, or given up."""
        self._is_sending = False
        if self.queue:  # or it was reset meanwhile
            self.queue.popleft()
        if not self.queue:
            self.bus.senders.discard(self)

    def sent(self, at: int) -> None:
        """A frame of this station ended on the wire at that bit."""

    def failed(self) -> None:
        """Bus-off: what is queued is lost, the controller starts anew."""
        self.queue.clear()
        self.bus.senders.discard(self)


class Bus:
    """The time of a bus, and what is to happen when. `bitrate` in bits a second."""

    def __init__(self, bitrate: int = 500_000) -> None:
        self.per_ms = bitrate // 1000
        self.now = 0
        self.frames = 0
        self.busy = 0  # bits that were not idle
        self.senders: set[Station] = set()
        self.listeners: list[Callable[[Station, Frame, int], None]] = []  # sender, frame, end
        self._events: list[tuple[int, int, Callable[[int], None]]] = []
        self._order = 0
        self._collisions = 0

    @property
    def ms(self) -> int:
        """The time in whole milliseconds, as clocks of stations tell it."""
        return self.now // self.per_ms

    def at(self, when: int, action: Callable[[int], None]) -> None:
        """Has `action(bit)` called at a bit."""
        self._order += 1
        heapq.heappush(self._events, (when, self._order, action))

    def run(self, over: Callable[[], bool], limit: int) -> bool:
        """Until `over`; False: bit `limit` came first, or nothing happens any more."""
        while not over():
            if self.now >= limit:
                return False
            self.act(self.now)
            if over():
                break
            if self.senders:
                self.transmit()
            elif self._events:
                self.now = min(max(self.now, self._events[0][0]), limit)
            else:
                return False
        return True

    def act(self, until: int) -> None:
        """What was to happen up to that bit."""
        while self._events and self._events[0][0] <= until:
            when, _, action = heapq.heappop(self._events)
            self.now = max(self.now, when)
            action(self.now)

    def transmit(self) -> None:
        """One arbitration and the frame that wins it; some station must have one to send."""
        ident = min((station.queue[0][0] for station in self.senders), key=rank)
        winners = [s for s in self.senders if s.queue[0][0] == ident]
        frame = winners[0].queue[0]
        if any(s.queue[0] != frame for s in winners):
            self._collide(winners)
            return
        for station in winners:  # more than one: equal to the last bit, nobody notices
            station.start()
        length = bits(*frame)
        end = self.now + length
        self.act(end - 1)
        self.now = end
        self.busy += length
        self.frames += 1
        for station in winners:
            station.stop()
            station.sent(end)
        for listen in self.listeners:
            listen(winners[0], frame, end)

    def _collide(self, stations: list[Station]) -> None:
        self.now += ERROR_FRAME
        self.busy += ERROR_FRAME
        self._collisions += 1
        if self._collisions >= BUS_OFF:
            self._collisions = 0
            for station in stations:
                station.failed()
