# SPDX-License-Identifier: MIT
"""`hsxctl push`: images into nodes, over a serial line, a CAN bus or a REPL."""

import argparse
import contextlib
import hashlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from hsx.errors import EPERM
from hsx.link import command as c

from .. import errors, image_set, push_plan
from ..bank_image import BankImage
from ..errors import ToolError
from ..output import Output
from ..reach import LINK_HELP, SEEN, Reach, add_options
from . import Commands

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
        began = time.monotonic()
        try:
            results = _sent(reach, sent, action, flags)
        except KeyboardInterrupt:
            left = "nothing of it is left" if arguments.volatile else "what has arrived stays"
            output.note(f"hsxctl: push given up: the node runs what it ran, {left}")
            raise
        seconds = time.monotonic() - began
        for node, errno in sorted(results.items()):
            if errno:
                reach.fail(reach.refused(node, "push", reach.reason(node, errno)))
        _report(reach, sent, results, seconds, output)
        return reach.status


def _sent(reach: Reach, sent: BankImage, action: int, flags: int) -> dict[int, int]:
    """The errno of each node. A second push within the same second is signed once more."""
    waiting = list(reach.numbers)
    plan = None
    if action == c.STAGE:
        plan = push_plan.blocks(sent, (push_plan.held(reach, node) for node in waiting))
    results: dict[int, int] = {}
    again = False
    with _bars(reach, len(sent.data)) as progress:
        while waiting:
            header = reach.signed(action, sent.digest, waiting, total=len(sent.data), flags=flags)
            results |= reach.link.push(waiting, header, sent.data, sent.digest, progress, plan)
            seen = [node for node in waiting if results[node] == EPERM and not again]
            seen = [node for node in seen if reach.reason(node, EPERM).detail == SEEN]
            again = True
            waiting = seen if seen and reach.may_sign_again() else []
    return results


@contextlib.contextmanager
def _bars(reach: Reach, total: int) -> Iterator:
    """A bar for each node on a terminal; elsewhere nothing."""
    if not sys.stderr.isatty() or reach.output.as_json:
        yield lambda node, done, total: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    tasks: dict[int, TaskID] = {}
    with Progress(*columns, console=Console(stderr=True)) as bars:
        for node in reach.numbers:
            tasks[node] = bars.add_task(reach.where(node), total=total)
        yield lambda node, done, total: bars.update(tasks[node], completed=done)


def _report(
    reach: Reach, sent: BankImage, results: dict[int, int], seconds: float, output: Output
) -> None:
    good = [node for node, errno in sorted(results.items()) if not errno]
    size, digest = len(sent.data), sent.digest.hex()
    for node in good:
        rate = int(size / seconds) if seconds else 0
        facts = {"node": node, "bytes": size, "digest": digest, "seconds": round(seconds, 3)}
        output.result(
            facts, f"{reach.where(node)}: {size} bytes, whole, {seconds:.1f} s, {rate} B/s"
        )
    if len(results) > 1:
        output.note(f"hsxctl: {len(good)} of {len(results)} nodes have it")
