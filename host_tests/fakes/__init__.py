# SPDX-License-Identifier: MIT
"""The simulated machine: what a board's `machine`, `pyb` and `time` give to the package.

Names, parameters and defaults are those of MicroPython's STM32 port; test_fakes.py compares them
with its type stubs. What a test needs beside them (a frame from the bus, a byte that is lost, time
that passes) is named `sim_...`. A fake is stricter than the device: what the device would ignore
or get wrong in silence raises `Misuse`, so that a test fails where hardware would only go astray.
"""


class Misuse(AssertionError):
    """The code under test did what a device would let pass unnoticed. Never caught by it."""


class Reset(BaseException):
    """The board was told to reset; `cause` is what `reset_cause()` gives after it."""

    def __init__(self, cause: int) -> None:
        super().__init__(cause)
        self.cause = cause
