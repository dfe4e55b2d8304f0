# SPDX-License-Identifier: MIT
"""What a fleet costs on the bench bus: unix nodes as processes, with their stores, and the engine
of the host as a station of the same bus.

The master lives in the bus's time, as in `can_fleet`, so that the bus never waits for a program to
be given a core. Counted are the bits of all frames from the first BEGIN to the last DONE; what a
node says while it verifies is among them.
"""

import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from hsx.image.build import build
from hsx.link import command
from hsx.link.can_master import CanMaster
from hsxctl.bank_image import bank_image, describe
from hsxctl.signed_command import signed
from hsxctl.simulate.bench import Bench, Faults
from hsxctl.simulate.fleet import UNIX, Fleet
from measure.can_fleet import MasterStation
from measure.record import Figures

PROGRAM = Path("build/sim/micropython")
SIZE = 32 * 1024  # bytes of a stream, as in `can`
LOSS = 0.001
SEEDS = 3

_START = 60.0  # seconds for all nodes to be on the bus
_END = 240.0
_PATIENCE = 60  # ms: that of hsxctl for such a bus


class Run(NamedTuple):
    """Bits on the wire; results by node; stations' statistics."""

    bits: int
    results: dict[int, int]
    stats: dict


def stream(size: int, seed: int = 1) -> tuple[bytes, bytes]:
    """A set of one image as a bank of so many bytes, and its digest."""
    room = 0
    while True:
        rodata = random.Random(seed).randbytes(room)
        image = build(b"\x25\0\0\0", name="large", rodata=rodata)
        sent = bank_image([(describe("", image), image)])
        if len(sent.data) >= size:
            return sent.data, sent.digest
        room += size - len(sent.data)


def transfer(nodes: int, loss: float = 0.0, seed: int = 0, size: int = SIZE) -> Run:
    """One push to so many new nodes. AssertionError: it did not arrive."""
    data, digest = stream(size)
    header = signed(None, command.STAGE, digest, counter=1, total=len(data), nodes=None)
    bench = Bench(seed=seed)
    try:
        with tempfile.TemporaryDirectory() as folder:
            fleet = Fleet(bench, nodes, 0, {UNIX: PROGRAM}, Path(folder), asks=False)
            try:
                _until(bench, lambda: fleet.are_on(range(1, nodes + 1)), _START)
                return _push(bench, nodes, data, header, digest, loss)
            finally:
                fleet.close()
    finally:
        bench.close()


def _push(bench: Bench, nodes: int, data: bytes, header: bytes, digest: bytes, loss: float) -> Run:
    bus = bench.bus
    bench.faults = Faults(loss)
    numbers = range(1, nodes + 1)
    start = (data, header, numbers, digest, 0x1234, 0.5, bus.ms)
    master = CanMaster(*start, patience=_PATIENCE)
    station = MasterStation(bus, master)
    bus.listeners.append(station.hear)
    before = bus.busy
    _until(bench, lambda: master.over, _END)
    if any(master.results[number] for number in numbers):
        raise AssertionError(f"{nodes} nodes, loss {loss}: {master.results}")
    return Run(bus.busy - before, master.results, bench.stats())


def _until(bench: Bench, over: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not over():
        bench.run(0.001)
        if time.monotonic() >= end:
            raise AssertionError(f"not over after {seconds:g} s: {bench.stats()}")


def count() -> Figures:
    """`ratio_50`: the bus's time of fifty nodes that each lose 0.1 %, mean of SEEDS runs, over
    that of one without loss."""
    one = transfer(1).bits
    fifty = [transfer(50, LOSS, seed).bits / one for seed in range(SEEDS)]
    return {
        "bench_bus.bits_1": one,
        "bench_bus.ratio_10": round(transfer(10).bits / one, 4),
        "bench_bus.ratio_50": round(fmean(fifty), 4),
        "bench_bus.ratio_50_most": round(max(fifty), 4),
    }
