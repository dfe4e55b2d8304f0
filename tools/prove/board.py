# SPDX-License-Identifier: MIT
"""Checks that look at the node, through its REPL."""

import time

from .desk import Desk
from .report import Failed, Figures, Report

_LEAST_HEAP = 8 * 1024  # bytes that an update and the REPL need
_LOG = 200  # events
_WRONG = 0.05  # of a clock that is not what its board says


def identity(desk: Desk) -> Figures:
    """Which board, firmware and MicroPython this is."""
    with desk.repl() as repl:
        found = {
            "board": repl.value("board.NAME"),
            "firmware": repl.value("os.uname().version"),
            "machine": repl.value("os.uname().machine"),
            "unique id": repl.value("board.unique_id().hex()"),
            "last reset": repl.value("board.reset_cause()"),
        }
    if desk.board and found["board"] != desk.board:
        raise Failed(
            f"here is {found['board']}, not {desk.board}",
            "Flash the firmware of this board, or name another port.",
            found,
        )
    return found


def memory(desk: Desk) -> Figures:
    """What is free."""
    with desk.repl() as repl:
        free, used, task = repl.value(
            "(gc.collect(), gc.mem_free(), gc.mem_alloc(), "
            "lock.run(hsx.runtime().node.vm.free))[1:]"
        )
    found = {"heap free": free, "heap used": used, "task memory free": task}
    if free < _LEAST_HEAP:
        raise Failed("the heap is nearly full", "Make POOL in board.py smaller.", found)
    return found


def boot(desk: Desk) -> Figures:
    """How the node came up."""
    with desk.repl() as repl:
        rows = repl.value("hsx.runtime().service.report")
        return {
            "sources": ", ".join(f"{row[0]} {row[1]}" for row in rows) or "none",
            "apps": repl.value("[row['program'] for row in lock.run(hsx.runtime().node.ps)]"),
            "watchdog": repl.value("hsx.runtime().watchdog is not None"),
        }


def clocks(desk: Desk) -> Figures:
    """The clocks that the part is set to, and how its ticks compare with this computer's."""
    seconds = desk.tries(5, 1)
    with desk.repl() as repl:
        rates = repl.value("machine.freq()")
        asked = time.monotonic()
        first = repl.value("time.ticks_ms()")
        answered = time.monotonic()
        time.sleep(seconds)
        least = time.monotonic() - answered
        passed = repl.value(f"time.ticks_diff(time.ticks_ms(), {first})") / 1000
        most = time.monotonic() - asked
    found = {
        "frequencies": rates,
        "node's seconds": passed,
        "this computer's": f"{least:.3f} to {most:.3f}",  # the answers take their time
    }
    if not least * (1 - _WRONG) <= passed <= most * (1 + _WRONG):
        raise Failed(
            "the node's clock is wrong", "Is the crystal that of the board's manual?", found
        )
    return found


def log(desk: Desk, report: Report, title: str) -> Figures:
    """Puts the node's log into the report."""
    with desk.repl() as repl:
        text = repl.run(f"_ = hsx.log({_LOG})\n_ = hsx.boot_report()")
    report.log(title, text)
    return {"lines": text.count("\n") + 1}
