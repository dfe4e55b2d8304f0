# SPDX-License-Identifier: MIT
"""Random programs that live long enough to meet themselves: loops, calls, stack and data use.

Plain random words stop after a few instructions. These have their jumps inside the code, most
addresses inside memory, and now and then anything at all.
"""

import random
import struct

ALU = (0x10, 0x11, 0x12, 0x14, 0x15, 0x16, 0x17, 0x20, 0x31, 0x32, 0x33, 0x34, 0x35)
F16 = (0x50, 0x51, 0x52, 0x53, 0x54, 0x55)
EDGES = (0, 1, 2, 0x7FFF, 0x8000, 0x7C00, 0x7E00, 0x3FF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
DATA = 13  # holds the address of the data
FRAME = 14  # holds an address in the stack


def word(op: int, rd: int = 0, rs1: int = 0, rs2: int = 0, imm: int = 0) -> int:
    return op << 24 | rd << 20 | rs1 << 16 | rs2 << 12 | imm & 0xFFF


def any_value(rng: random.Random) -> int:
    return rng.choice(EDGES) if rng.random() < 0.5 else rng.getrandbits(32)


def _instruction(rng: random.Random, at: int, count: int) -> list:
    kind = rng.random()
    rd, rs1, rs2 = (rng.randrange(13) for _ in range(3))
    if kind < 0.40:
        return [word(rng.choice(ALU), rd, rs1, rs2)]
    if kind < 0.48:
        return [word(rng.choice(F16), rd, rs1, rs2)]
    if kind < 0.60:
        base = rng.choice((DATA, FRAME))
        op = rng.choice((0x02, 0x03, 0x06, 0x07, 0x08, 0x09))
        return [word(op, rd, base, rs2, rng.randrange(-8, 72))]
    if kind < 0.68:
        return [word(rng.choice((0x40, 0x41)), rd, rs1)]
    if kind < 0.80:
        return [word(rng.choice((0x21, 0x22, 0x23, 0x22, 0x23)), imm=4 * rng.randrange(count))]
    if kind < 0.84:
        return [word(0x24, imm=rng.randrange(count) - at)]
    if kind < 0.87:
        return [word(0x25)]
    if kind < 0.93:
        return [word(0x01, rd, imm=rng.getrandbits(12))]
    if kind < 0.96:
        return [word(0x60, rd), any_value(rng)]
    if kind < 0.98:
        return [word(0x30, imm=rng.choice((0x000, 0x600, 0x101)))]
    if kind < 0.99:
        return [
            word(rng.choice((0x13, 0x24, 0x21, 0x22, 0x23)), rd, rs1, rs2, rng.getrandbits(12))
        ]
    return [rng.getrandbits(32)]


def random_code(rng: random.Random) -> bytes:
    """Code of 4 to about 80 words."""
    count = rng.choice((4, 10, 20, 40, 80))
    code = [word(0x60, DATA), 0x4000, word(0x60, FRAME), 0xFF80]
    while len(code) < count:
        code += _instruction(rng, len(code), count)
    return struct.pack(f">{len(code)}I", *code)
