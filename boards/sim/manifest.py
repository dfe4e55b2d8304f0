# SPDX-License-Identifier: MIT
# What this board freezes besides the hsx package.
include("../../firmware/manifest.py")  # noqa: F821  MicroPython's manifest language
module("board.py")  # noqa: F821  MicroPython's manifest language
module("boot.py")  # noqa: F821  MicroPython's manifest language
