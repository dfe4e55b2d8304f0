# SPDX-License-Identifier: MIT
"""Every instruction from random states: the C core, one step, against the slow model.

Programs visit the states that programs make; here registers, flags, PC, SP and call depth are
anything at all, and every opcode has the same share.
"""

import os
import random
from collections import Counter

import pytest

import hsxvm as n
from hsx.image.build import build
from native.programs import any_value, word
from native.slow_vm import SlowVm

STACK = 64
STACK_LIMIT = 0xFFFC - STACK
RODATA = bytes(range(64))
STATES = int(os.environ.get("HSX_FUZZ_STATES", "100000"))
SEED = int(os.environ.get("HSX_FUZZ_SEED", "0"))
SHARES = 8
WORDS = 64
PER_IMAGE = 100  # states before there is other code
OPCODES = (
    *(0x01, 0x02, 0x03, 0x04, 0x06, 0x07, 0x08, 0x09),
    *range(0x10, 0x18),
    *range(0x20, 0x26),
    *range(0x30, 0x36),
    *(0x40, 0x41),
    *range(0x50, 0x56),
    *(0x60, 0x7F),
)


def any_code(rng: random.Random) -> bytes:
    code = []
    for _ in range(WORDS):
        op = rng.choice(OPCODES) if rng.random() < 0.95 else rng.getrandbits(8)
        code.append(op << 24 | rng.getrandbits(24))
    code[0] = word(0x30, imm=rng.choice((0x000, 0x100, 0x600)))
    return b"".join(each.to_bytes(4, "big") for each in code)


def any_address(rng: random.Random) -> int:
    """Near an edge of memory, mostly."""
    edge = rng.choice((0x4000, 0x4040, STACK_LIMIT, 0xFFFC, 0x10000))
    return edge + rng.randrange(-8, 8) if rng.random() < 0.9 else any_value(rng)


def any_pc(rng: random.Random) -> int:
    if rng.random() < 0.02:
        return any_value(rng)
    pc = rng.randrange(4 * WORDS + 4)
    return pc & ~3 if rng.random() < 0.9 else pc


class Pair:
    """The core and the model, always in the same state."""

    def __init__(self, code: bytes) -> None:
        self.image = build(code, RODATA)
        self.vm = n.VM(bytearray(1024), 1)
        self.pid = self.vm.load(self.image, STACK)
        self.data = bytearray(64)
        self.stack = bytearray(STACK + 4)
        windows = [(STACK_LIMIT, bytearray(STACK + 4)), (0x4000, bytearray(RODATA))]
        self.model = SlowVm(code, windows, STACK_LIMIT)

    def renew(self) -> None:
        """A parked task is loaded anew; memory is then as the model's."""
        self.vm.unload(self.pid)
        self.pid = self.vm.load(self.image, STACK)
        for base, memory in self.model.windows:
            self.vm.write(self.pid, base, memory)

    def draw(self, rng: random.Random) -> None:
        model = self.model
        model.regs = [
            any_address(rng) & 0xFFFFFFFF if rng.random() < 0.5 else any_value(rng)
            for _ in range(16)
        ]
        model.pc = any_pc(rng)
        model.sp = any_address(rng) & 0xFFFFFFFF
        model.flags = rng.getrandbits(4)
        model.depth = rng.choice((0, 1, 2, 0xFFFFFFFF))
        model.steps = any_value(rng)
        for number, value in enumerate(model.regs):
            self.vm.set(self.pid, number, value)
        self.vm.set(self.pid, n.PC, model.pc)
        self.vm.set(self.pid, n.SP, model.sp)
        self.vm.set(self.pid, n.PSW, model.flags)
        self.vm.set(self.pid, n.DEPTH, model.depth)
        self.vm.set(self.pid, n.STEPS, model.steps)

    def core_state(self) -> tuple:
        get, pid = self.vm.get, self.pid
        self.vm.read(pid, STACK_LIMIT, self.stack)
        self.vm.read(pid, 0x4000, self.data)
        numbers = (n.PC, n.SP, n.PSW, n.DEPTH, n.STEPS, n.LAST_PC)
        regs = [get(pid, number) for number in range(16)]
        return regs, [get(pid, number) for number in numbers], self.stack, self.data

    def model_state(self) -> tuple:
        m = self.model
        numbers = [m.pc, m.sp, m.flags, m.depth, m.steps, m.last]
        return m.regs, numbers, m.windows[0][1], m.windows[1][1]


def step_from_anywhere(rng: random.Random, states: int, ops: Counter) -> None:
    pair = Pair(any_code(rng))
    for number in range(states):
        pair.draw(rng)
        at = pair.model.pc
        stop = pair.vm.clock(pair.pid, 1)
        assert stop == pair.model.clock(1), (number, hex(at))
        assert pair.core_state() == pair.model_state(), (number, hex(at))
        if at % 4 == 0 and at < 4 * WORDS:
            ops[pair.model.code[at]] += 1
        if pair.vm.state(pair.pid) == n.PARKED:
            pair.renew()


@pytest.mark.sharded
@pytest.mark.parametrize("share", range(SHARES))
def test_one_step_from_any_state_ends_as_in_the_model(share):
    rng = random.Random(SEED + share)
    ops: Counter = Counter()
    done = 0
    while done < STATES // SHARES:
        step_from_anywhere(rng, PER_IMAGE, ops)
        done += PER_IMAGE
    assert set(OPCODES) <= set(ops)  # each of them ran
