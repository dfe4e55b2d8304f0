# SPDX-License-Identifier: MIT
"""What the frozen boot code calls, at power-up, after each reset and each soft reset."""

import gc
import sys

from micropython import const

import hsx

from .. import native
from . import clock, wiring

try:
    from micropython import kbd_intr
except ImportError:  # CPython

    def kbd_intr(chr: int) -> None:
        """No interrupt character to speak of."""


TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..contracts import Board
    from .runtime import Runtime

# Bytes of new objects after which the collector runs. What is made next lies low again, so that
# what stays (a module that is needed for the first time, a task) does not cut the free heap up.
_COLLECT = const(2048)


def _built(board: "Board") -> "Runtime":
    """The node; a minimal one if it can't be built: never none."""
    try:
        return wiring.build(board)
    except Exception as error:  # noqa: BLE001  without a node nobody could mend it from afar
        told = repr(error)
    gc.collect()
    runtime = wiring.build(board, minimal=True)
    runtime.service.report.append(("boot", "failed", "", told[:40], 0))
    runtime.events.emit("warning", 0, {"source": "boot", "detail": told})
    return runtime


def run(board: "Board") -> None:
    """Builds the node, starts it and waits until its boot is over, so that whoever comes to
    the REPL finds the apps running.

    A Ctrl-C before the timer runs would leave a board without a node, so it is taken as a plain
    character until then; afterwards it only ends the waiting."""
    if hasattr(gc, "threshold"):
        gc.threshold(_COLLECT)
    kbd_intr(-1)
    try:
        runtime = _built(board)
        native.settle()
        hsx.attach(runtime)
        if hasattr(sys, "atexit"):
            sys.atexit(runtime.stop)  # a soft reset stops the apps in order
        runtime.start()
    finally:
        kbd_intr(3)
    while not runtime.booted():
        if runtime.by_hand:
            runtime.turn(1)
        else:
            clock.pass_ms(1)
    native.settle()
