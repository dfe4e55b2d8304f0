# SPDX-License-Identifier: MIT
"""Transfers over CAN, counted in bits: how near to what the bus can carry, and how many nodes at
once. Both ends are the engines that ship; the bus is `can_bus`.

`share`: bits of the DATA frames back to back, over bits from the first BEGIN to the last DONE,
with a signed header of 144 bytes. The node's own verification is not counted: here it takes no
time.
"""

import random
from statistics import fmean

from hsxctl.simulate.can_bus import bits
from measure.can_fleet import LATENCY, MemorySink, Transfer
from measure.can_peers import canopen_bits, isotp_bits
from measure.record import Figures

BITRATE = 500_000
SIZE = 32 * 1024
SEEDS = 20
STREAM = random.Random(1).randbytes(SIZE)


def limit(stream: bytes) -> int:
    """Bits of the DATA frames of a stream, back to back."""
    frames = (len(stream) + 7) // 8
    parity = [0x700 | (at >> 6 & 1) << 6 | at & 63 for at in range(frames)]
    return sum(bits(ident, stream[8 * at :][:8]) for at, ident in enumerate(parity))


def transfer(nodes: int, loss: float = 0.0, seed: int = 0) -> int:
    """Bits of a transfer of STREAM to so many nodes. AssertionError: it did not arrive."""
    sinks = [MemorySink() for _ in range(nodes)]
    run = Transfer(STREAM, sinks, loss, seed, BITRATE)
    if not run.run() or any(run.master.results.values()):
        raise AssertionError(f"{nodes} nodes, loss {loss}, seed {seed}: {run.master.results}")
    if any(sink.result != STREAM for sink in sinks):
        raise AssertionError(f"{nodes} nodes, loss {loss}, seed {seed}: wrong bytes")
    return run.bits


def peers(most: int) -> Figures:
    """What others make of the same limit."""
    return {
        f"can.peers.{name}{ending}": round(most / run(STREAM, BITRATE, latency), 4)
        for name, run in (("canopen", canopen_bits), ("isotp", isotp_bits))
        for ending, latency in (("", LATENCY), ("_0ms", 0))
    }


def count() -> Figures:
    """All figures of CAN. `ratio`: time over that of one node without loss; `peers`: their share,
    with the same latency and without any."""
    most, one = limit(STREAM), transfer(1)
    lossy = [most / transfer(1, 0.01, seed) for seed in range(SEEDS)]
    fifty = [transfer(50, 0.001, seed) / one for seed in range(SEEDS)]
    return {
        "can.share_1": round(most / one, 4),
        "can.share_1_loss1pct": round(fmean(lossy), 4),
        "can.share_1_loss1pct_least": round(min(lossy), 4),
        "can.ratio_10": round(transfer(10) / one, 4),
        "can.ratio_50": round(fmean(fifty), 4),
        "can.ratio_50_most": round(max(fifty), 4),
        "can.ms_1": round(one * 1000 / BITRATE, 1),
        **peers(most),
    }
