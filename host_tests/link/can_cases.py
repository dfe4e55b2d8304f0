# SPDX-License-Identifier: MIT
"""Transfers over CAN with faults: what goes wrong, and what must hold whatever goes wrong."""

import random
from collections.abc import Callable

from hsx.link import can_framing as can
from hsxctl.simulate.can_bus import Frame, Station
from measure.can_fleet import MemorySink, Transfer

SMALL = random.Random(7).randbytes(2 * 512 + 100)  # three blocks, the last one short
LIMIT = 60_000  # ms that no transfer may take

Change = Callable[[Frame], list[Frame]]


def frames_of(stream: bytes, sinks: int = 1) -> int:
    """Frames on the bus when nothing goes wrong."""
    transfer = Transfer(stream, [MemorySink() for _ in range(sinks)])
    assert transfer.run(LIMIT)
    return transfer.bus.frames


def nothing(frame: Frame) -> list[Frame]:
    return []


def twice(frame: Frame) -> list[Frame]:
    return [frame, frame]


def other_identifier(bit: int) -> Change:
    return lambda frame: [(frame[0] ^ 1 << bit, frame[1])]


def other_data(bit: int) -> Change:
    """A bit is another one. The bus lets no such frame through, but a station may send one."""

    def change(frame: Frame) -> list[Frame]:
        data = bytearray(frame[1])
        data[(bit >> 3) % len(data)] ^= 1 << (bit & 7)
        return [(frame[0], bytes(data))]

    return change


def shorter(size: int) -> Change:
    return lambda frame: [(frame[0], frame[1][:size])]


class Faults:
    """Does to the frames that reach the nodes of `numbers` (all, if none is named) what is told
    by their place on the bus. `swapped`: the frame comes behind the next one."""

    def __init__(self, changes: dict[int, Change], swapped: int = -1, numbers: object = None):
        self._changes = changes
        self._swapped = swapped
        self._numbers = numbers
        self._kept: dict[int, Frame] = {}
        self._seen: dict[int, int] = {}

    def __call__(self, number: int, frame: Frame) -> list[Frame]:
        at = self._seen.get(number, 0)
        self._seen[number] = at + 1
        if self._numbers is not None and number not in self._numbers:
            return [frame]
        if at == self._swapped:
            self._kept[number] = frame
            return []
        frames = self._changes.get(at, lambda f: [f])(frame)
        if number in self._kept:
            frames = [*frames, self._kept.pop(number)]
        return frames


def check(transfer: Transfer, numbers: object = None) -> None:
    """Complete and byte-exact at the nodes of `numbers`, all if none is named."""
    assert transfer.run(LIMIT), "no end"
    for number, sink in enumerate(transfer.fleet.sinks, 1):
        if numbers is None or number in numbers:
            assert transfer.master.results[number] == 0, transfer.master.results
            assert sink.result == transfer.stream


def check_or_error(transfer: Transfer) -> None:
    """Complete and byte-exact, or a clear error; and whoever is done has the right bytes."""
    assert transfer.run(LIMIT), "no end"
    assert set(transfer.master.results) == set(transfer.master.peers)
    for number, sink in enumerate(transfer.fleet.sinks, 1):
        if transfer.master.results.get(number) == 0:
            assert sink.result == transfer.stream


def retry(transfer: Transfer, session: int = 0x4321) -> None:
    """The same once more, without faults, to what the nodes are left in: it must succeed."""
    transfer.fleet.fault = None
    # What the controllers still hold goes out first.
    transfer.bus.run(lambda: not transfer.bus.senders, transfer.bus.now + LIMIT)
    transfer.bus.run(lambda: False, transfer.bus.now + 20 * transfer.bus.per_ms)
    transfer.master = transfer.start_master(session)
    check(transfer)


class Injector(Station):
    """A foreign station: sends what it is told to."""

    def flood(self, frames: list[Frame], every_ms: float, start_ms: int = 0) -> None:
        """Frames one after the other, `every_ms` apart."""
        for n, frame in enumerate(frames):
            when = int((start_ms + n * every_ms) * self.bus.per_ms)
            self.bus.at(when, lambda _, frame=frame: self.send(frame))


def hostile(chance: random.Random) -> Frame:
    """A frame under any identifier of the range, often of a form that means something."""
    low = chance.choice([0, 1, 2, 3, 64, chance.randrange(128)])
    op = chance.choice([can.LOAD, can.LOAD, can.DATA, can.BLOCK, chance.randrange(8)])
    data = bytearray(chance.randbytes(8))
    if op == can.LOAD:
        data[0] = chance.choice([0, 1, 127])
        data[1] = chance.randrange(10) | chance.randrange(8) << 4
        data[2] = chance.choice([0x34, data[2]])
        data[3] = chance.choice([0, 0x12, data[3]])
        if low == 0 and data[1] & 15 == can.ABORT:
            data[2] = 0x35  # an ABORT of this session is meant to end it
    if op == can.BLOCK:
        data[4] = chance.choice([0, 1, 2, data[4]])
        data[5] = chance.choice([0, 255, data[5]])
        data[7] = chance.choice([0x34, data[7]])
    size = chance.choice([8, 8, 8, chance.randrange(9)])
    return can.ident(op, low), bytes(data[:size])


def random_transfer(seed: int) -> Transfer:
    """A transfer with faults of many kinds, all from `seed`."""
    chance = random.Random(seed)
    size = chance.choice([1, 511, 512, 513, chance.randrange(1, 6000)])
    nodes = chance.choice([1, 1, 2, 3, 5])
    sinks = [MemorySink(ordered=chance.random() < 0.3) for _ in range(nodes)]
    for sink in sinks:
        sink._verifying = chance.choice([0, 0, 3, 120])
    transfer = Transfer(
        chance.randbytes(size),
        sinks,
        seed=seed,
        by_identifier=chance.random() < 0.2,
        share=chance.choice([1.0, 1.0, 0.3]),
        latency=chance.choice([0, 1, 5, 12]),
    )
    rates = [chance.choice([0, 0, 0.002, 0.02, 0.08]) for _ in range(5)]
    # Of 64 frames with wrong bytes in one of 50 no block would ever be right.
    rates[2:4] = [chance.choice([0, 0, 0.001, 0.004]) for _ in range(2)]

    def fault(number: int, frame: Frame) -> list[Frame]:
        frames = [frame]
        for rate, kind in zip(rates, range(5), strict=True):
            if chance.random() >= rate:
                continue
            change = (
                nothing,
                twice,
                other_identifier(chance.randrange(11)),
                other_data(chance.randrange(64)),
                shorter(chance.randrange(8)),
            )[kind]
            frames = [f for one in frames if one[1] for f in change(one)]
        return frames

    transfer.fleet.fault = fault
    for what in range(nodes):
        if chance.random() < 0.15:
            when = chance.randrange(1000, 2000) * transfer.bus.per_ms
            transfer.bus.at(when, lambda _, n=what + 1: transfer.fleet.reset(n))
    if chance.random() < 0.1:
        foreign = Injector(transfer.bus)
        foreign.flood([hostile(chance) for _ in range(200)], chance.choice([0.3, 2, 10]), 1270)
    return transfer


def run_random(first: int, count: int) -> int:
    """Transfers of `count` seeds from `first`, and a retry where one failed. How many were right
    at once at all nodes. AssertionError names the seed."""
    right = 0
    for seed in range(first, first + count):
        transfer = random_transfer(seed)
        try:
            check_or_error(transfer)
            if any(transfer.master.results.values()):
                transfer.bus.run(lambda: False, transfer.bus.now + 4000 * transfer.bus.per_ms)
                retry(transfer)
            else:
                right += 1
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
    return right
