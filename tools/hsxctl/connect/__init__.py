# SPDX-License-Identifier: MIT
"""Ways from a host to a node: the engines of `hsx.link` over what a host has, a file for each.

Each has `push(header, data, progress)`, `request(message)` and `events()`. What goes wrong on the
way is a ToolError with status NO_NODE; what the node refuses is an HsxError with its errno.
"""
