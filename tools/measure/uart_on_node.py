# SPDX-License-Identifier: MIT
"""Runs ON a node, behind into_ram.py: counts what a UART link costs, over the board's UART 2.

Interrupts of that port are off while a poll is counted, and counted by themselves.
"""

import gc
import time

import machine

from hsx.link.uart_node import UartNode
from hsx.transport.uart import UartRunner

_NVIC_ON = const(0xE000E100)  # noqa: F821  MicroPython's compiler knows `const`
_NVIC_OFF = const(0xE000E180)  # noqa: F821
_RECEIVES = const(1 << 4)  # noqa: F821  the interrupt of UART 2 that takes a byte
_COUNTER = const(0x40028018)  # noqa: F821
_SPIN = const(2_000_000)  # noqa: F821
_ROOM = const(8192)  # noqa: F821


class Still:
    """A sink that takes no memory of its own."""

    needs_order = False

    def begin(self, header, total, source):
        return 0


class Silent:
    def message(self, message, now):
        return b""


def ram(begin):
    """Bytes of heap that a runner over UART 2 takes with its engine, once the frame `begin` has
    opened a session."""
    sink, silent = Still(), Silent()
    gc.collect()
    gc.collect()
    before = gc.mem_alloc()
    runner = UartRunner(a_port, UartNode(sink, silent, "UART:2"))
    runner.engine.receive(begin, len(begin), 0)
    gc.collect()
    gc.collect()
    print(gc.mem_alloc() - before)


def a_port():
    return machine.UART(2, 921600, rxbuf=1048)


def spin():
    for _ in range(_SPIN):
        pass


def interrupts():
    """Ticks of a loop while nothing comes, ticks while the host sends, bytes that came."""
    port = a_port()
    port.read()
    alone = quietly(ticks_of, spin)  # noqa: F821  of on_node.py
    print("send")
    time.sleep_ms(50)
    beside = quietly(ticks_of, spin)  # noqa: F821
    time.sleep_ms(50)
    print([alone, beside, port.any()])
    port.read()


def transfer(sink, least):
    """Takes a transfer: ticks of all polls, polls, and bytes that came. A poll waits for `least`
    bytes, or for a pause; to the node each is 10 ms after the one before."""
    now = 0

    def clock():
        return now

    sink._loads.clock = clock
    memory = machine.mem32
    runner = UartRunner(a_port, UartNode(sink, Silent(), "UART:2"))
    runner.open()
    print("open")
    port = runner._uart
    begun = runner.stats()["received"]
    ticks = polls = 0
    sink.over = False
    while not (sink.over and runner.engine.output() is None):
        here = -1
        while port.any() < least and port.any() != here:
            here = port.any()
            time.sleep_ms(2)
        if gc.mem_free() < _ROOM:
            gc.collect()
        gc.disable()
        control = memory[0xE000E010]
        memory[0xE000E010] = 0
        memory[_NVIC_OFF] = _RECEIVES
        before = memory[_COUNTER]
        runner.poll(now)
        after = memory[_COUNTER]
        memory[_NVIC_ON] = _RECEIVES
        memory[0xE000E010] = control
        gc.enable()
        now += 10
        ticks += (after - before) & 0xFFFFFFFF
        polls += 1
    taken = runner.stats()["received"] - begun
    runner.close()
    print([ticks, polls, taken])
