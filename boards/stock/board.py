# SPDX-License-Identifier: MIT
"""The board of a package as it comes: as stock.py has it, all of it.

Write a `board.py` of your own and put it into the root of the file system: it is found before this
one. docs/stock_firmware.md shows what it may say.
"""

from stock import *  # noqa: F403
