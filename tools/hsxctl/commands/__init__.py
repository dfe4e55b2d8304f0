# SPDX-License-Identifier: MIT
"""The commands of hsxctl, one module for each group.

A module has `add_parser(commands)`, which adds its verbs to the argument tree with a `run`
default: `run(arguments, output) -> exit code`. It raises ToolError to end with a message.
"""

from argparse import _SubParsersAction as Commands  # it has no public name

__all__ = ["Commands"]
