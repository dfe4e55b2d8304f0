# SPDX-License-Identifier: MIT
# The firmware of `make memory`: all that the board freezes, and a boot that does nothing.
include("../../../firmware/manifest.py")  # noqa: F821  MicroPython's manifest language
module("board.py", base_path="..")  # noqa: F821  MicroPython's manifest language
module("boot.py")  # noqa: F821  MicroPython's manifest language
