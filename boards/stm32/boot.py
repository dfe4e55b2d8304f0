# SPDX-License-Identifier: MIT
# Runs at each start of Python, before the REPL and whatever mode that is in.
import board

from hsx.boot.start import run

run(board)
