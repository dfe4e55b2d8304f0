# SPDX-License-Identifier: MIT
"""The C core against the slow model: whole programs, in slices of every size.

Single steps never enter the core's fast path, so the same program also runs with long budgets, and
both must agree in every part of the state at every stop.
"""

import os
import random

import pytest

import hsxvm as n
from bench.images import an_image
from hsx.image.build import build
from native.programs import any_value, random_code
from native.slow_vm import SLEEP, SVC, SlowVm

STACK = 256
RODATA = bytes(range(64))
PROGRAMS = int(os.environ.get("HSX_FUZZ_PROGRAMS", "6000"))
SEED = int(os.environ.get("HSX_FUZZ_SEED", "0"))  # of the first program
STEPS = 400
SHARES = 8  # the programs, divided so that a failure says where to look


def state_of_core(vm: n.VM, pid: int) -> dict:
    stack = bytearray(STACK + 4)
    data = bytearray(64)
    vm.read(pid, 0xFFFC - STACK, stack)
    vm.read(pid, 0x4000, data)
    return {
        "regs": [vm.get(pid, number) for number in range(16)],
        "pc": vm.get(pid, n.PC),
        "sp": vm.get(pid, n.SP),
        "flags": vm.get(pid, n.PSW),
        "depth": vm.get(pid, n.DEPTH),
        "steps": vm.get(pid, n.STEPS),
        "last": vm.get(pid, n.LAST_PC),
        "stack": bytes(stack),
        "data": bytes(data),
    }


def state_of_model(model: SlowVm) -> dict:
    (_, stack), (_, data) = model.windows
    return {
        "regs": model.regs,
        "pc": model.pc,
        "sp": model.sp,
        "flags": model.flags,
        "depth": model.depth,
        "steps": model.steps,
        "last": model.last,
        "stack": bytes(stack),
        "data": bytes(data),
    }


def model_of(code: bytes) -> SlowVm:
    windows = [(0xFFFC - STACK, bytearray(STACK + 4)), (0x4000, bytearray(RODATA))]
    return SlowVm(code, windows, 0xFFFC - STACK)


def compare(seed: int) -> int:
    """One random program in random slices: how many instructions ran."""
    rng = random.Random(seed)
    code = random_code(rng)
    vm = n.VM(bytearray(4096), 1)
    pid = vm.load(build(code, RODATA, name="random"), STACK)
    model = model_of(code)
    model.flags = rng.randrange(16)  # Z and N both set is a legal start
    vm.set(pid, n.PSW, model.flags)
    for number in range(16):
        model.regs[number] = any_value(rng)
        vm.set(pid, number, model.regs[number])
    slice_steps = rng.choice((1, 2, 3, 7, 20, 50, 1000))
    while model.steps < STEPS:
        steps = slice_steps if rng.random() < 0.9 else rng.randrange(60)
        stop = vm.clock(pid, steps)
        assert stop == model.clock(steps), f"seed {seed}"
        assert state_of_core(vm, pid) == state_of_model(model), f"seed {seed}"
        if stop & 0xFF == SLEEP or stop & 0xFF == SVC:
            vm.set(pid, 0, 0)
            model.regs[0] = 0
        elif vm.state(pid) == n.PARKED:
            break
    return model.steps


@pytest.mark.sharded
@pytest.mark.parametrize("share", range(SHARES))
def test_random_programs_agree_with_the_model_at_every_stop(share):
    steps = sum(compare(SEED + seed) for seed in range(share, PROGRAMS, SHARES))
    assert steps > PROGRAMS  # they do run


def test_the_model_gives_what_the_reference_gives(golden_cases):
    """The model is held against the reference too, or the two of ours could agree in error."""
    memory = bytes((a * 167 + 13) & 0xFF for a in range(0x10000))
    wrong = []
    for case in golden_cases:
        code = bytearray(case["code_len"])
        words = bytes.fromhex(case["word"] + case["next"])[: case["code_len"] - case["pc"]]
        code[case["pc"] : case["pc"] + len(words)] = words
        model = SlowVm(bytes(code), [(0, bytearray(memory))], 0xEFFC)
        model.regs = list(case["regs"])
        for name in ("pc", "sp", "flags", "depth", "steps"):
            setattr(model, name, case[name])
        stop = model.clock(1)
        if stop & 0xFF == SVC:
            model.regs[0] = 0xFFFFFF01
        elif stop & 0xFF == SLEEP:
            model.regs[0] = 0
        after = {name: getattr(model, name) for name in ("pc", "regs", "flags", "sp", "depth")}
        if after != {name: case["after"][name] for name in after}:
            wrong.append(case["word"])
        if model.steps != case["after"]["steps"]:
            wrong.append(case["word"])
    assert not wrong


# A byte of each of these is an instruction that goes on, whichever byte a word begins with.
PLAIN = (0x01, 0x04, 0x10, 0x11, 0x14, 0x15, 0x16, 0x17, 0x31, 0x50, 0x54)


@pytest.mark.parametrize("steps", [1, 3, 100])
@pytest.mark.parametrize("target", range(4, 45))
def test_odd_jump_targets_run_as_the_model_runs_them(target, steps):
    # Odd addresses decode across words: nothing else in the tests insists on reaching them.
    rng = random.Random(target)
    code = bytes([0x21, 0, 0, target]) + bytes(rng.choice(PLAIN) for _ in range(40))
    vm = n.VM(bytearray(4096), 1)
    pid = vm.load(build(code, RODATA), STACK)
    model = model_of(code)
    while vm.state(pid) == n.READY:
        assert vm.clock(pid, steps) == model.clock(steps)
        assert state_of_core(vm, pid) == state_of_model(model)


def test_an_odd_ldi32_takes_the_word_behind_it():
    code = bytes([0x21, 0, 0, 6, 0, 0, 0x60, 0x10, 0, 0, 0x12, 0x34, 0x56, 0x78, 0x21, 0, 0, 0])
    code += bytes(-len(code) % 4)
    vm = n.VM(bytearray(4096), 1)
    pid = vm.load(build(code, RODATA), STACK)
    assert vm.clock(pid, 100) == n.OK
    assert vm.get(pid, 1) == 0x12345678


def test_a_budget_may_end_before_any_instruction_of_a_run():
    # LDI32 takes two words and one step: the budget must not be counted by distance.
    code = (0x60100000, 1, 0x60200000, 2, 0x60300000, 3, 0x21000000)
    for budget in range(40):
        vm = n.VM(bytearray(4096), 1)
        pid = vm.load(an_image(*code))
        assert vm.clock(pid, budget) == n.OK
        assert vm.get(pid, n.STEPS) == budget
        assert vm.get(pid, n.PC) == (0, 8, 16, 24)[budget % 4]
