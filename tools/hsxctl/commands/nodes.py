# SPDX-License-Identifier: MIT
"""`hsxctl nodes`: who is there, and numbers for those that have none."""

import argparse

from .. import errors
from ..arguments import integer
from ..connect.bus import BusNodes
from ..errors import ToolError
from ..output import Output, table
from ..reach import LINK_HELP, NO_NUMBER, Reach, add_options
from . import Commands

_HELP = f"""\
Shows the nodes that answer, or with 'number' gives one its number on the CAN bus. A node without a
number says nothing: its unique id stands on its label, and 'nodes --uart' shows it. UID is text,
or the hex digits of at least 6 bytes. A number lasts as the node's board keeps it; one that has a
number takes no other.

{LINK_HELP}
example:
  hsxctl nodes --can socketcan:can0
  hsxctl nodes number 3A0041000F51393438343635 5 --can socketcan:can0
"""


def add_parser(commands: Commands) -> None:
    """Adds `nodes` to the argument tree."""
    parser = commands.add_parser(
        "nodes",
        help="who is there; give a node its number",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("verb", nargs="?", choices=("number",), metavar="number")
    parser.add_argument("uid", nargs="?", metavar="UID")
    parser.add_argument("number", nargs="?", type=integer(1, NO_NUMBER - 1), metavar="N")
    add_options(parser, signs=False)
    parser.set_defaults(run=run, node="all", usage=parser.error)


def unique_id(text: str) -> bytes:
    """The bytes that a UID stands for."""
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    return found if len(found) >= 6 else text.encode()


def uid_text(uid: bytes) -> str:
    """The other way round."""
    text = uid.decode(errors="replace")
    return text if text.isprintable() and unique_id(text) == uid else uid.hex().upper()


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Lists, or numbers."""
    if arguments.verb is None:
        with Reach(arguments, output) as reach:
            return _list(reach, output)
    if arguments.number is None:
        arguments.usage("number needs UID and N")
    reach = Reach(arguments, output)
    try:
        return _number(reach, unique_id(arguments.uid), arguments.number, output)
    finally:
        reach.link.close()


def _list(reach: Reach, output: Output) -> int:
    found = []

    def ask(node: int) -> None:
        hello = reach.ask(node, "hello")
        hello["uid"] = uid_text(hello["uid"])
        found.append(hello)

    status = reach.each(ask)
    names = ("node", "uid", "board", "network", "free", "active", "state")
    if output.as_json:
        for hello in found:
            output.result(hello, "")
    elif found:
        rows = [[_cell(name, hello.get(name)) for name in names] for hello in found]
        output.result({}, table([name.upper() for name in names], rows))
    return status


def _cell(name: str, value: object) -> object:
    return "-" if name == "node" and value == NO_NUMBER else value


def _number(reach: Reach, uid: bytes, number: int, output: Output) -> int:
    link = reach.link
    if not isinstance(link, BusNodes):
        raise ToolError("numbers are given over CAN", link.place, "Use --can.", errors.USAGE)
    taken = link.short_ids().get(number)
    if taken is not None:
        raise ToolError(
            f"EEXIST: number {number} is taken", link.place, "See 'hsxctl nodes', take another."
        )
    if not link.number(uid, number):
        raise ToolError(
            f"no node {uid_text(uid)} without a number answers",
            link.place,
            "Check the unique id; a node that has a number takes no other.",
            errors.NO_NODE,
        )
    output.result({"node": number, "uid": uid_text(uid)}, f"{uid_text(uid)} is node {number} now")
    return errors.DONE
