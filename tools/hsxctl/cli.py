# SPDX-License-Identifier: MIT
"""The argument tree of hsxctl, and how a command ends.

Exit codes: 0 done; 1 refused or failed; 2 wrong usage; 3 no node or connection lost; 130
interrupted.
"""

import argparse
import os
import sys

from . import errors
from .commands import (
    assemble,
    completion,
    events,
    fleet,
    fram,
    image,
    keys,
    node,
    nodes,
    push,
    run,
    sdcard,
    serve,
    sign,
    sim,
    values,
)
from .output import Output

_HELP = """\
Builds, checks, signs and runs HSX images, sends them to nodes over UART, CAN and the REPL, makes
SD cards, starts simulated nodes, looks into their stores.
"""

_EXAMPLES = """\
from source to running node:
  hsxctl asm hello.mvasm -o apps/hello.hxe      source to image
  hsxctl verify apps/hello.hxe                  would a node take it?
  hsxctl info apps/hello.hxe                    what is in it
  hsxctl run apps/hello.hxe --max-steps 100000  run it here, on the node's own code
  hsxctl sdcard apps -o card.img                a card with everything in a folder
  hsxctl sim --sd card.img                      a Cortex-M4 node that boots from it
  hsxctl fram info fram.bin                     what a node's store holds
  hsxctl push apps/hello.hxe --uart PORT        the same app over a wire
  hsxctl ps --uart PORT                         what the node runs

exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 no node or connection lost,
130 interrupted. With --json, stdout has one JSON object per line and nothing else.
'hsxctl COMMAND --help' says what a command needs, with an example.
"""


def argument_tree() -> argparse.ArgumentParser:
    """All commands and their options."""
    parser = argparse.ArgumentParser(
        prog="hsxctl",
        description=_HELP,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (
        assemble,
        image,
        keys,
        sign,
        run,
        sdcard,
        sim,
        nodes,
        push,
        serve,
        fleet,
        node,
        values,
        events,
        fram,
        completion,
    ):
        module.add_parser(commands)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Runs one command; `argv` without the program's name, by default the process's own. Gives
    the exit code and raises nothing but SystemExit(2) and (0) from the argument parser."""
    arguments = argument_tree().parse_args(argv)
    output = Output(as_json=getattr(arguments, "json", False))
    try:
        return arguments.run(arguments, output)
    except errors.ToolError as error:
        output.error(error)
        return error.status
    except BrokenPipeError:
        # The reader of our output has gone; what is still buffered must not raise at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return errors.REFUSED
    except OSError as error:
        output.error(errors.file_error(error))
        return errors.REFUSED
    except KeyboardInterrupt:
        output.interrupted()
        return errors.INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
