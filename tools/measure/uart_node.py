# SPDX-License-Identifier: MIT
"""What the UART link costs a Cortex-M4: instructions from the interrupt to the sink, and heap."""

import itertools
import json
import random
import time
from pathlib import Path

import serial

from hsx.link import command
from hsx.link.uart_master import UartMaster
from hsxctl.connect.serial import SerialLink
from hsxctl.signed_command import signed
from measure.node import MeasuringNode, instructions
from measure.record import Figures

PAYLOAD = 49152  # bytes: most of a bank
BAUD = 921600  # the emulated wire has no rate; the host's engine counts with it
POLLS = {921600: 921, 115200: 115}  # bytes that a rate brings in the 10 ms between two polls
RING = 1048  # bytes of the driver's receive buffer
_BYTES = 300  # that are sent one by one
_SEEDS = itertools.count(1)


def count(node: MeasuringNode) -> Figures:
    """Figures of the link on a booted node with FRAM, its runtime stopped and into_ram.py run:
    from the interrupt to the staged byte, in a region of RAM. An interrupt takes one byte, as on
    hardware without a FIFO. There is a poll every 10 ms: at 921600 baud, and at 115200, where its
    own cost is shared by fewer bytes."""
    node.run((Path(__file__).parent / "uart_on_node.py").read_text())
    node.run("sink = Staged(); sink.lie_over(Ram(), Ram())")
    engine = UartMaster(lambda: 1)
    engine.begin(_header(0), bytes(PAYLOAD))
    heap = int(node.run(f"ram({engine.output(0)!r})")[0])
    # Once in a while something else interrupts the loop.
    interrupt = sorted(_interrupt(node) for _ in range(5))[2]
    figures: Figures = {
        "uart.insns_per_byte": round(_transfer(node, 1024, 921600, interrupt), 1),
        "uart.insns_per_byte_512": round(_transfer(node, 512, 921600, interrupt), 1),
        "uart.insns_per_byte_115200": round(_transfer(node, 1024, 115200, interrupt), 1),
        "uart.insns_per_interrupt": round(interrupt, 1),
        "uart.rx_ram": heap + RING,
    }
    return figures


def _header(seed: int) -> bytes:
    """The command for a set that nobody has seen yet."""
    digest = random.Random(seed).randbytes(32)
    return signed(None, command.STAGE, digest, counter=1, total=PAYLOAD)


def _interrupt(node: MeasuringNode) -> float:
    """Instructions of the interrupt that takes one byte: what a loop takes longer for them."""
    with serial.Serial(node.uart2, BAUD) as port:
        node.begin("interrupts()", "send")
        time.sleep(0.1)  # the node has begun its loop, and is at it for a second
        for _ in range(_BYTES):
            port.write(b"\x05")
            time.sleep(0.001)
        alone, beside, came = json.loads(node.end()[0])
    if came != _BYTES:
        raise RuntimeError(f"{came} of {_BYTES} bytes came while the node counted")
    return instructions(beside - alone) / came


def _transfer(node: MeasuringNode, chunk: int, baud: int, interrupt: float) -> float:
    """Instructions for a byte of a transfer, polled as often as at `baud`."""
    poll = POLLS[baud]
    node.begin(f"transfer(sink, {poll})", "open")
    with SerialLink(node.uart2, BAUD, chunk) as link:
        link.push(_header(next(_SEEDS)), random.Random(1).randbytes(PAYLOAD))
    ticks, polls, taken = json.loads(node.end()[0])
    if polls < PAYLOAD // (4 * poll):
        raise RuntimeError(f"only {polls} polls for {taken} bytes: the host was ahead")
    return (instructions(ticks) + taken * interrupt) / PAYLOAD
