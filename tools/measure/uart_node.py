# SPDX-License-Identifier: MIT
"""What the UART link costs a Cortex-M4: instructions from the interrupt to the sink, and heap."""

import json
import random
import time
from pathlib import Path

import serial

from hsx.link.uart_master import UartMaster
from hsxctl.connect.serial import SerialLink
from measure.node import MeasuringNode, instructions
from measure.record import Figures

PAYLOAD = 16384  # bytes
BAUD = 921600  # the emulated wire has no rate; the host's engine counts with it
POLL = 115  # bytes that 115200 baud bring in the 10 ms between two polls
RING = 1048  # bytes of the driver's receive buffer
_BYTES = 300  # that are sent one by one


def count(node: MeasuringNode) -> Figures:
    """Figures of the link on a booted node; its runtime is stopped. An interrupt takes one byte,
    as on hardware without a FIFO. Shown is the dearest case: a poll every 10 ms at 115200 baud."""
    node.run("import hsx; hsx.runtime().stop()")
    node.run((Path(__file__).parent / "uart_on_node.py").read_text())
    engine = UartMaster(lambda: 1)
    engine.begin(bytes(128), bytes(PAYLOAD))
    begin = engine.output(0)
    heap = int(node.run(f"runner, sink, taken = link({begin!r}); print(taken)")[0])
    interrupt = _interrupt(node)
    figures: Figures = {
        "uart.insns_per_byte": 0.0,
        "uart.insns_per_byte_512": 0.0,
        "uart.insns_per_interrupt": round(interrupt, 1),
        "uart.rx_ram": heap + RING,
    }
    for name, chunk in (("uart.insns_per_byte", 1024), ("uart.insns_per_byte_512", 512)):
        ticks, taken = _transfer(node, chunk)
        figures[name] = round((instructions(ticks) + taken * interrupt) / PAYLOAD, 1)
    return figures


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


def _transfer(node: MeasuringNode, chunk: int) -> tuple[int, int]:
    """Ticks that a node polls for a transfer, and bytes that it received."""
    node.begin(f"transfer(runner, sink, {POLL})", "open")
    with SerialLink(node.uart2, BAUD, chunk) as link:
        link.push(bytes(128), random.Random(1).randbytes(PAYLOAD))
    ticks, polls, taken = json.loads(node.end()[0])
    if polls < PAYLOAD // (4 * POLL):
        raise RuntimeError(f"only {polls} polls for {taken} bytes: the host was ahead")
    return ticks, taken
