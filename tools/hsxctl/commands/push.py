# SPDX-License-Identifier: MIT
"""`hsxctl push`: images into nodes, over a serial line, a CAN bus or a REPL."""

import argparse
import hashlib
from pathlib import Path

from hsx.link import command as c

from .. import clock, errors, image_set, outcome, sending
from ..bank_image import BankImage
from ..errors import ToolError
from ..output import Output
from ..reach import LINK_HELP, Reach, add_options
from . import Commands, fleet

_HELP = f"""\
Sends a set of images to one node or to many, which keep it: each writes it beside the set that
runs, reads it back, and then runs it, on trial. The set is what is given here and nothing else: a
host cannot read images back, so what is to stay is sent again. A node that has some of the same
set from an attempt before takes only the rest; over CAN and the REPL, images that it runs already
are not sent again.

FILE.hxe  images, in this order
manifest  a hsx.toml or hsx.json as of a card, with its images beside it

{LINK_HELP}
A node that asks for signatures wants --key, and --network if it has one. The counter of the
command is the time in seconds, so that it is higher than the one before.

example:
  hsxctl push apps/hello.hxe --uart /dev/ttyUSB0
  hsxctl push apps/hello.hxe --repl /dev/ttyACM0
  hsxctl push apps/hello.hxe --can socketcan:can0 --node all --canaries 2 --undo --key site.pem
  hsxctl push apps/hsx.toml --can socketcan:can0 --node 3,4,5 --key site.pem
"""


def add_parser(commands: Commands) -> None:
    """Adds `push` to the argument tree."""
    parser = commands.add_parser(
        "push",
        help="send images to nodes",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", nargs="+", type=Path, metavar="FILE.hxe|manifest")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--persist",
        dest="volatile",
        action="store_false",
        default=False,
        help="into the store, as the set that runs from now on (default)",
    )
    where.add_argument(
        "--volatile",
        action="store_true",
        help="straight into memory: one image, beside what runs, until the next reset",
    )
    parser.add_argument(
        "--activate",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="run the set when it is there (default); later: 'hsxctl activate'",
    )
    parser.add_argument(
        "--share", type=_share, metavar="S", help="of the bus's time, at most: 0.01 to 1"
    )
    fleet.add_rollout_options(parser)
    add_options(parser)
    parser.set_defaults(run=run)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = 0
    if not 0.01 <= share <= 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no number from 0.01 to 1")
    return share


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Sends, and says what has become of each node."""
    if arguments.canaries is not None:
        if arguments.volatile or not arguments.activate:
            raise ToolError(
                "a roll-out runs a set and keeps it",
                "",
                "Leave out --volatile and --no-activate, or --canaries.",
                errors.USAGE,
            )
        return fleet.start(arguments, output)
    if arguments.volatile:
        if len(arguments.file) > 1:
            raise ToolError("--volatile takes one image", "", "Send one by one.", errors.USAGE)
        stream = image_set.checked(arguments.file[0])
        digest = hashlib.sha256(stream).digest()
        sent = BankImage(stream, digest, [])
        action, flags = c.LOAD, 0
    else:
        sent = image_set.bank(arguments.file)
        action, flags = c.STAGE, c.FLAG_ACTIVATE if arguments.activate else 0
    with Reach(arguments, output) as reach:
        began = clock.monotonic()
        try:
            came = sending.send(reach, reach.numbers, sent, action, flags)
        except KeyboardInterrupt:
            left = "nothing of it is left" if arguments.volatile else "what has arrived stays"
            output.note(f"hsxctl: push given up: the node runs what it ran, {left}")
            raise
        seconds = clock.monotonic() - began
        for node, errno in sorted(came.results.items()):
            if errno:
                reach.fail(reach.refused(node, "push", reach.reason(node, errno)))
        _report(reach, sent, came, seconds, output, bool(flags))
        return reach.status


def _report(
    reach: Reach,
    sent: BankImage,
    came: sending.Sent,
    seconds: float,
    output: Output,
    must_run: bool,
) -> None:
    good = [node for node, errno in sorted(came.results.items()) if not errno]
    run = 0
    size, digest = len(sent.data), sent.digest.hex()
    for node in good:
        before = came.before.get(node, size)
        rate = int((size - before) / seconds) if seconds else 0
        facts = {"node": node, "bytes": size, "digest": digest, "seconds": round(seconds, 3)}
        facts["before"] = before
        if must_run:
            try:
                slot = outcome.running(reach, node, sent.digest)
            except ToolError as error:
                reach.fail(error)
                continue
            facts["bank"], facts["state"] = slot["bank"], slot["state"]
        there = f"{size} bytes, whole"
        if before:
            there += f", {before} of them from before"
        run += 1
        output.result(facts, f"{reach.where(node)}: {there}, {seconds:.1f} s, {rate} B/s")
    if len(came.results) > 1:
        output.note(f"hsxctl: {run} of {len(came.results)} nodes have it")
