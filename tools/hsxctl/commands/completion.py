# SPDX-License-Identifier: MIT
"""`hsxctl completion`: what a shell needs to complete commands, options and files."""

import argparse
from pathlib import Path

import shtab

from .. import errors
from ..output import Output
from . import Commands

_HELP = """\
Prints the script that lets a shell complete hsxctl: commands, options, their choices and files.

Needs: bash with bash-completion, or zsh.

example:
  hsxctl completion bash
  hsxctl completion zsh

For good: put what it prints into ~/.local/share/bash-completion/completions/hsxctl, or into
_hsxctl in a folder of zsh's fpath.
"""


def add_parser(commands: Commands) -> None:
    """Adds `completion` to the argument tree."""
    parser = commands.add_parser(
        "completion",
        help="completion for a shell",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", choices=("bash", "zsh"))
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Prints it."""
    from ..cli import argument_tree

    tree = argument_tree()
    _complete_files(tree)
    output.result({}, shtab.complete(tree, arguments.shell))
    return errors.DONE


def _complete_files(parser: argparse.ArgumentParser) -> None:
    """Where a path is wanted, files are offered; argparse has no public way to its actions."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                _complete_files(child)
        elif action.type is Path:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
