# SPDX-License-Identifier: MIT
"""Each STM32 board is a Board: for mypy only."""

from boards.NUCLEO_F446RE import board as nucleo_f446re
from boards.NUCLEO_G474RE import board as nucleo_g474re
from boards.NUCLEO_H743ZI import board as nucleo_h743zi
from boards.PYBV11 import board as pybv11

from hsx.contracts import Board

BOARDS: list[Board] = [nucleo_f446re, nucleo_g474re, nucleo_h743zi, pybv11]
