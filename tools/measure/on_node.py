# SPDX-License-Identifier: MIT
"""Runs ON a node, behind the tests' own `judge/on_node.py`: counts what the VM costs.

The emulator's virtual time is counted instructions, and the board's counter shows it. The tick
interrupt is off while something is counted: polls and their cost are no part of it.
"""

import gc
import json

import machine

import hsx
import hsxvm

_COUNTER = const(0x40028018)  # noqa: F821  MicroPython's compiler knows `const`
_SYSTICK = const(0xE000E010)  # noqa: F821
_CHUNK = const(64)  # noqa: F821
_ROOM = const(8192)  # noqa: F821  bytes of heap for what happens between two counts


def quietly(call, *args):
    """`call(*args)` without tick interrupts and without the collector."""
    control = machine.mem32[_SYSTICK]
    machine.mem32[_SYSTICK] = 0
    gc.collect()
    gc.disable()
    try:
        return call(*args)
    finally:
        gc.enable()
        machine.mem32[_SYSTICK] = control


def ticks_of(call, *args):
    """Counter ticks that `call(*args)` takes."""
    memory = machine.mem32
    before = memory[_COUNTER]
    call(*args)
    after = memory[_COUNTER]
    return (after - before) & 0xFFFFFFFF


class Counted:
    """A VM whose clock() is counted, and which is the VM itself in all else."""

    def __init__(self, vm):
        self._vm = vm
        self.ticks = 0
        self.calls = 0

    def __getattr__(self, name):
        return getattr(self._vm, name)

    def clock(self, pid, steps):
        if gc.mem_free() < _ROOM:
            gc.collect()  # between two counts, never within one
        clock = self._vm.clock
        memory = machine.mem32
        before = memory[_COUNTER]
        stop = clock(pid, steps)
        after = memory[_COUNTER]
        self.ticks += (after - before) & 0xFFFFFFFF
        self.calls += 1
        return stop


class Meter(Judge):  # noqa: F821  of the judge
    """Runs golden programs as the target's tests do, and counts."""

    def __init__(self):
        super().__init__(Counted(a_vm(0)))  # noqa: F821  of the judge

    def whole(self, path, cap):
        """A program from its start to its stop, in as few calls as its SVCs allow."""
        self.vm.ticks = self.vm.calls = 0
        result = self.run(path, 512, cap)
        result["ticks"] = self.vm.ticks
        result["calls"] = self.vm.calls
        return result

    def budgets(self, path, begin, budgets):
        """Ticks of one call with each of `budgets` (instructions), after the first `begin`."""
        pid = self.load(path, 512, 4096)
        vm = self.vm
        vm.clock(pid, begin)
        ticks = []
        for budget in budgets:
            vm.ticks = 0
            vm.clock(pid, budget)
            ticks.append(vm.ticks)
        self.node.kill(pid)
        return ticks


def programs(folder, caps):
    """Counts golden programs: a line each."""
    meter = Meter()
    for name in caps:
        print(json.dumps([name, quietly(meter.whole, "%s/%s.hxe" % (folder, name), caps[name])]))


def budgets(path, begin, many):
    """Counts calls of clock(): a line of ticks."""
    print(json.dumps(quietly(Meter().budgets, path, begin, many)))


def loop_of_32_bits(n):
    """The loop of bench_loop with its results: Python's integers leave the word here."""
    x = 0
    while n:
        x = (x + 0x9E3779B9) & 0xFFFFFFFF
        x ^= n
        x ^= x >> 7
        n -= 1
    return x


def loop_of_small_ints(n):
    """The same operations, with a constant and a mask that keep all values small integers."""
    x = 0
    while n:
        x = (x + 0x1E3779B9) & 0x1FFFFFFF
        x ^= n
        x ^= x >> 7
        n -= 1
    return x


def python(few, many):
    """Counts both loops in MicroPython's bytecode: ticks for `few` and `many` rounds."""
    for loop in (loop_of_32_bits, loop_of_small_ints):
        ticks = [quietly(ticks_of, loop, few), quietly(ticks_of, loop, many)]
        print(json.dumps([loop(few), ticks]))


def verify(key, message, signature):
    """Counts one check of a signature, a good one: a line of ticks."""
    assert hsxvm.ed25519_verify(key, message, signature)
    print(quietly(ticks_of, hsxvm.ed25519_verify, key, message, signature))


def _grown(node, file, buf):
    before = gc.mem_alloc()
    pid = node.load("SD", file.readinto, buf)
    return gc.mem_alloc() - before, pid


def stream(path):
    """Heap bytes that loading a file in small chunks takes, garbage included. Task memory is in
    the pool, which the node has reserved at boot, and so is no part of it."""
    node = hsx.runtime().node
    with open(path, "rb") as file:
        grown, pid = quietly(_grown, node, file, memoryview(bytearray(_CHUNK)))
    node.kill(pid)
    print(grown)
