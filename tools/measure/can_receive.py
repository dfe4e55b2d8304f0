# SPDX-License-Identifier: MIT
"""What a received CAN frame costs on the M4 before and around its engine.

The emulated machine has no CAN controller: in the interrupt handler, functions of MicroPython's
own stand for `any` and `recv`, called with as many arguments. What the port does around a handler
and in the real `recv` is not counted; it is some hundred instructions.
"""

from measure.node import MeasuringNode, instructions
from measure.record import Figures

_ON_NODE = """
from hsx.transport.can_pyb import CanRunner
from hsx.transport.can_slcan import SlcanRunner


class Engine:
    buf_len = 0

    def frame(self, ident, data, now):
        pass


class Driver:
    recv = None


driver = Driver()
driver.recv = driver.write = {}.get
engine = Engine()
runner = CanRunner(None, engine)
runner._can = driver
runner._slot[0] = 0x701
slcan = SlcanRunner(driver, engine)
slcan._state = 1
line = b"t70181122334455667788\\r"


def prepare(n):
    for _ in range(n):
        driver.any = [True, False].pop


def interrupt(n):
    handler = runner._on_bulk
    for _ in range(n):
        driver.any = [True, False].pop
        handler(driver, 0)


def drain(n):
    runner._ring.drain(engine.frame, 0, n)


def lines(n):
    slcan._buf[32 : 32 + len(line) * n] = line * n
    slcan._start = 32
    slcan._split(32 + len(line) * n, 0)


def counts(n):
    "ticks for n frames; what the interrupt has put is what is drained"
    return [ticks_of(call, n) for call in (prepare, interrupt, drain, lines)]


def pairs(few, many):
    counts(few)  # the first time is no part of it
    return counts(few) + counts(many)


print(*quietly(pairs, 2, 10))
"""
_MORE = 8  # frames between the two counts


def count(node: MeasuringNode) -> Figures:
    """Instructions for a frame: in the interrupt, where it is alone in its FIFO; from the ring
    into an empty method of an engine; as an SLCAN line, from the UART's bytes into the same."""
    ticks = [int(text) for text in node.run(_ON_NODE)[-1].split()]
    each = [instructions(ticks[n + 4] - ticks[n]) / _MORE for n in range(4)]
    prepared, interrupt, drained, line = each
    return {
        "can.m4_insns_interrupt": round(interrupt - prepared),
        "can.m4_insns_handed_on": round(drained),
        "can.m4_insns_slcan": round(line),
    }
