# SPDX-License-Identifier: MIT
"""What the CAN link costs a Cortex-M4: instructions from the interrupt to the staged byte, heap,
and the pace that a node announces for it.
"""

import binascii
import json
import random
from pathlib import Path

from hsx.link import can_framing as can
from hsx.link import command
from hsxctl.signed_command import signed
from measure.node import MeasuringNode, instructions
from measure.record import Figures

HERE = Path(__file__).parent
NODE = 5
BLOCKS = 32  # of a stream: four staging records are written beside them
SESSION = 0x1234
SHIFT = 3  # 8 ns for an instruction: an STM32F405 at 168 MHz that takes 1.34 cycles for each
SPEEDS = {"400k": 400_000, "1m": 1_000_000}  # of the FRAM's I2C bus
BITRATE = 500_000

Frames = list[tuple[int, bytes]]


def beginning(total: int, seed: int) -> Frames:
    """The frames that open a session for a set nobody has seen yet."""
    digest = random.Random(seed).randbytes(32)
    header = signed(None, command.STAGE, digest, counter=1, total=total, nodes=None)
    count = len(header) // 8
    frames = [(can.ident(can.LOAD), can.begin(SESSION, total, count, 0))]
    announced = can.block(binascii.crc32(header), can.HEADER, count, 1, SESSION & 0xFF)
    frames.append((can.ident(can.BLOCK), announced))
    for n in range(count):
        frames.append((can.ident(can.DATA, 0x40 | n), header[8 * n : 8 * n + 8]))
    return frames


def count(node: MeasuringNode, interrupt: float) -> Figures:
    """Figures of a booted node with FRAM, after begin_in_ram(); `interrupt`:
    instructions for the frame that is alone in its FIFO (can_receive).

    `insns_per_frame`: that, and for each DATA frame its share of what the polls do that take the
    stream: ring, engine, BLOCK, CRC, Transfer and Staging, which compares and writes into a region
    of RAM, its records and events. `insns_fram`: what a frame's share is dearer with this board's
    FRAM, whose bus it works bit by bit. `rx_ram`: the engine in a session with its three blocks,
    and the ring."""
    node.run((HERE / "can_on_node.py").read_text())
    node.run("sink = Staged(); fram = sink.lie_over(Ram(), Ram())")
    engine, ring, runner, messages = json.loads(
        node.run(f"ram(sink, {beginning(BLOCKS * 512, 1)[:1]})")[0]
    )
    into_ram = _stream(node, 2)
    node.run("sink.lie_over(fram, fram)")
    into_fram = _stream(node, 3)
    return {
        "can.insns_per_frame": round(interrupt + into_ram),
        "can.insns_interrupt": round(interrupt),
        "can.insns_fram": round(into_fram - into_ram),
        "can.rx_ram": engine + ring,
        "can.rx_ram_engine": engine,
        "can.rx_ram_ring": ring,
        "can.runner_ram": runner,
        "can.messages_ram": messages,
    }


def paces(firmware: Path, folder: Path) -> Figures:
    """What a node with the CPU of SHIFT announces, in frames a second, with a FRAM at each of
    SPEEDS, named after what sets it; and what a block takes of bus, CPU and FRAM, in us."""
    with MeasuringNode(firmware, folder, has_fram=True, shift=SHIFT) as node:
        begin_in_ram(node)
        node.run((HERE / "pace_on_node.py").read_text())
        told = node.run(f"paces(Staged(), {list(SPEEDS.values())})")
    figures: Figures = {}
    block: Figures = {"bus": can.FRAMES * 1_000_000 * 111 // BITRATE}
    for name, line in zip(SPEEDS, told, strict=True):
        pace, by, block_us, frame_us = json.loads(line)
        figures[f"can.pace_{name}_by_{by.lower()}"] = pace
        block["cpu"] = can.FRAMES * frame_us
        block[f"fram_{name}"] = block_us
    figures.update({f"can.block_us.{name}": value for name, value in block.items()})
    return figures


def begin_in_ram(node: MeasuringNode) -> None:
    """Formats the store of a booted node, stops its runtime and makes it ready to stage into
    memory."""
    node.run("import hsx; hsx.format('erase everything'); hsx.runtime().stop()")
    node.run((HERE / "into_ram.py").read_text())


def _stream(node: MeasuringNode, seed: int) -> float:
    """Instructions of the polls for a DATA frame."""
    frames = beginning(BLOCKS * 512, seed)
    ticks = int(node.run(f"stream(sink, {frames}, {SESSION & 0xFF}, {BLOCKS})")[-1])
    return instructions(ticks) / (BLOCKS * can.FRAMES)
