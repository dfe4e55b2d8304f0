# SPDX-License-Identifier: MIT
"""Checks of a flashed board over its REPL, UART and CAN, and a report to send: `make prove`.

`desk` is the board and its ports, `repl` runs code on it, `report` keeps what each check found.
Checks are functions of a Desk: `board` looks at the node, `medium` at its FRAM, `links` at the
lines, `bus` at CAN, `store` at updates, `disturb` interrupts, resets and breaks things. They give
figures, or raise Failed (the board does something wrong) or Skip (the check cannot be made).

What the board keeps is lost only with `--erase`. docs/prove.md is the guide.
"""
