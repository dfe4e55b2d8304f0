# SPDX-License-Identifier: MIT
"""Runs ON a node, behind into_ram.py: the pace that a CAN link announces with a FRAM on I2C.

The emulated bus has no speed. Here it takes as long as its bits, while the CPU waits, as ports of
MicroPython do; the driver, and what the CPU does beside it, are the node's own.
"""

import json
import time

from hsx.boot import links as boot_links
from hsx.store.fram_i2c import FramI2c


class Bus:
    """FRAM parts that hold nothing, at `hz`."""

    def __init__(self, hz):
        self._hz = hz

    def _pass(self, count):
        """Start, address, `count` bytes with their acknowledgements, and stop."""
        time.sleep_us((2 + 9 * (1 + count)) * 1_000_000 // self._hz)

    def writevto(self, device, vector):
        count = 0
        for part in vector:
            count += len(part)
        self._pass(count)
        return count

    def readfrom_into(self, device, buf):
        self._pass(len(buf))


class Board:
    NAME = "measured"

    def unique_id(self):
        return b"12345678"

    def links(self, made):
        return []


def paces(sink, speeds):
    """Of a FRAM at each bit rate: what Links.paces says, and the us of block and frame behind it,
    as JSON."""
    loads = sink._loads
    for hz in speeds:
        medium = FramI2c(Bus(hz), (0x50, 0x51), 65536)
        sink.lie_over(medium, medium)
        made = boot_links.Links(Board(), loads)
        engine = made.can("CAN:%d:0")
        kept, by = made.paces[0][1:]
        print(json.dumps([kept, by, made._block_us(), made._frame_us(engine)]))
