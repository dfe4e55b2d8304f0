# SPDX-License-Identifier: MIT
"""The core: exceptions, SysTick, faults, sleep."""

from stm32.emulator import run_program


def test_exceptions() -> None:
    done = run_program("exceptions")
    assert done.returncode == 0, done.stdout + done.stderr
