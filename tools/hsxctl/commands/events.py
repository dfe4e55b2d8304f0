# SPDX-License-Identifier: MIT
"""`hsxctl events` and `log`: what has happened on nodes, and what happens."""

import argparse

from .. import errors
from ..arguments import integer
from ..output import Output
from ..reach import LINK_HELP, Reach, add_options
from ..told import Event, Told
from . import Commands

_HELP = f"""\
Shows the newest events of a node, with the seconds since its start; with --follow those to come,
too, until Ctrl-C. docs/provisioning_protocol.md lists them all.

{LINK_HELP}
example:
  hsxctl events --follow --uart /dev/ttyUSB0
"""


_LOG_HELP = f"""\
Shows all that a node remembers: the events of its log, oldest first, each with its number, the
seconds since its start, and what it was. The oldest give way to new ones, and a reset empties the
log. With --since, those behind a number: what came after the last look.

{LINK_HELP}
example:
  hsxctl log --since 112 --uart /dev/ttyUSB0
"""


def add_parser(commands: Commands) -> None:
    """Adds `events` and `log` to the argument tree."""
    parser = commands.add_parser(
        "events",
        help="what has happened on a node",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--last",
        type=integer(0, 1000),
        default=20,
        metavar="N",
        help="of the past, as far as the node has them (default: 20)",
    )
    parser.add_argument("--follow", action="store_true", help="and those to come")
    add_options(parser, signs=False)
    parser.set_defaults(run=run)
    parser = commands.add_parser(
        "log",
        help="all that a node remembers of what happened",
        description=_LOG_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--since", type=integer(0, 0xFFFFFFFF), default=0, metavar="SEQ", help="behind this event"
    )
    add_options(parser, signs=False)
    parser.set_defaults(run=run_log)


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Shows them."""
    with Reach(arguments, output) as reach:
        told = Told(reach, arguments.last)
        for node, event in told.follow() if arguments.follow else told.past():
            facts = {"node": node, **event._asdict()}
            output.result(facts, _line(node, event, len(reach.numbers) > 1))
    return errors.DONE


def run_log(arguments: argparse.Namespace, output: Output) -> int:
    """Shows the log."""
    with Reach(arguments, output) as reach:
        told = Told(reach, since=arguments.since)
        for node, event in told.past():
            facts = {"node": node, **event._asdict()}
            output.result(facts, f"{event.seq:6} {_line(node, event, len(reach.numbers) > 1)}")
    return errors.DONE


def _line(node: int, event: Event, several: bool) -> str:
    who = f"pid {event.pid}" if event.pid else "node"
    fields = " ".join(f"{key}={value}" for key, value in sorted(event.data.items()))
    place = f"{node:3} " if several else ""
    return f"{place}[{event.ts / 1000:11.3f}] {who:6} {event.kind} {fields}".rstrip()
