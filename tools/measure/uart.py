# SPDX-License-Identifier: MIT
"""How much of a UART's time a transfer leaves to its payload, counted on a line to the byte.

From the first byte out to the final answer, signed header, both waits for the node and all frames
included; what the node needs for verifying is not. Both ends are the engines that ship.
"""

import random

from hsx.link.uart_master import UartMaster
from hsx.link.uart_node import UartNode
from measure.record import Figures
from measure.uart_line import BITS, Fault, Line

BAUD = 115200
PAYLOAD = random.Random(1).randbytes(32768)
DENSE = bytes([1]) * len(PAYLOAD)  # without a zero: the longest frames
HEADER = 128  # bytes of the signed header
LONGEST_HEADER = 248
_SEEDS = 20


class Memory:
    """A sink that takes all and verifies at once."""

    def __init__(self, needs_order: bool = False) -> None:
        self.needs_order = needs_order
        self.digest = b"done"
        self.data = bytearray(len(PAYLOAD))

    def begin(self, header: memoryview, total: int, source: str) -> int:
        return 0

    def write(self, offset: int, data: memoryview) -> int:
        self.data[offset : offset + len(data)] = data
        return 0

    def holds(self, offset: int, size: int) -> bool:
        return False

    def end(self) -> int:
        return 0

    def poll(self, now: int) -> int:
        return 0

    def abort(self) -> None:
        pass


class Silent:
    """Nobody asks."""

    def message(self, message: memoryview, now: int) -> bytes:
        return b""


def efficiency(
    chunk: int,
    latency: float,
    payload: bytes = PAYLOAD,
    header: int = HEADER,
    needs_order: bool = False,
    fault: Fault | None = None,
) -> float:
    """The payload's own time on the line over the time of the transfer. `chunk` is asked for."""
    sink = Memory(needs_order)
    master = UartMaster(lambda: 0x1234, chunk, rate=BAUD // BITS)
    line = Line(master, UartNode(sink, Silent(), "UART"), BAUD, latency, fault)
    master.begin(bytes(range(1, header + 1)), payload)
    end = line.run()
    if master.outcome != "done" or bytes(sink.data) != payload:
        raise RuntimeError("the payload did not arrive")
    return len(payload) * BITS / BAUD / (end - line.first)


def noisy(chunk: int, latency: float, one_in: int) -> float:
    """Mean efficiency where one byte in so many, either way, is spoiled."""
    total = 0.0
    for seed in range(_SEEDS):
        chance = random.Random(seed)

        def fault(way: int, at: int, byte: int, chance: random.Random = chance) -> bytes:
            return bytes([byte ^ 0x10 if chance.randrange(one_in) == 0 else byte])

        total += efficiency(chunk, latency, fault=fault)
    return total / _SEEDS


def count() -> Figures:
    """The figures. `dense`: no zero in the payload; `noise`: one byte in 10,000 is spoiled, mean
    of 20 seeds; `in_order`: into a sink that needs order, which gets chunks of 512."""
    figures: Figures = {
        "uart.eff_0ms": efficiency(1024, 0.0),
        "uart.eff_5ms": efficiency(1024, 0.005),
        "uart.eff_0ms_512": efficiency(512, 0.0),
        "uart.eff_5ms_512": efficiency(512, 0.005),
        "uart.eff_5ms_in_order": efficiency(1024, 0.005, needs_order=True),
        "uart.eff_5ms_dense": efficiency(1024, 0.005, DENSE),
        "uart.eff_5ms_longest_header": efficiency(1024, 0.005, header=LONGEST_HEADER),
        "uart.eff_5ms_noise": noisy(1024, 0.005, 10_000),
        "uart.eff_5ms_512_noise": noisy(512, 0.005, 10_000),
    }
    return {name: round(value, 4) for name, value in figures.items()}
