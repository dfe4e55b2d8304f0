# SPDX-License-Identifier: MIT
# What every STM32 board freezes besides its board.py.
include("../../firmware/manifest.py")  # noqa: F821  MicroPython's manifest language
module("stm32.py")  # noqa: F821  MicroPython's manifest language
module("boot.py")  # noqa: F821  MicroPython's manifest language
