# SPDX-License-Identifier: MIT
include("../stm32/manifest.py")  # noqa: F821  MicroPython's manifest language
module("board.py")  # noqa: F821  MicroPython's manifest language
include("$(MPY_DIR)/extmod/asyncio")  # noqa: F821  MicroPython's manifest language
