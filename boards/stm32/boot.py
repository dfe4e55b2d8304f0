# SPDX-License-Identifier: MIT
# Runs at each start of Python, before the REPL and whatever mode that is in.

# A Ctrl-C within an import would leave a board without a node: `run` lets it in again. A name for
# the module would take heap for ever.
__import__("micropython").kbd_intr(-1)

import board  # noqa: E402

from hsx.boot.start import run  # noqa: E402

run(board)
