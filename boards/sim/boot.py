# SPDX-License-Identifier: MIT
# `import boot` starts the node. The unix port runs no boot.py by itself: a script does it.
import board

from hsx.boot.start import run

run(board)
