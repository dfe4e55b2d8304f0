# SPDX-License-Identifier: MIT
"""What the node becomes: board and configuration are joined, sources scanned, apps started.

`start.run(board)` is what the frozen boot code calls. May import everything; only the package's
front door imports it. Rule: objects meet in `wiring` and nowhere else.
"""
