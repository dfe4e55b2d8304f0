# SPDX-License-Identifier: MIT
"""`hsxctl push --canaries` and `hsxctl fleet`: a set to many nodes, some of them first."""

import argparse
import math
import time
from pathlib import Path
from typing import Any

from .. import errors, image_set
from ..arguments import integer
from ..bank_image import BankImage
from ..errors import ToolError
from ..fleet import page, record
from ..fleet import rollout as r
from ..fleet.record import Record
from ..fleet.work import Work, carry_out
from ..output import Output
from ..reach import LINK_HELP, Reach, add_options
from . import Commands

_HELP = f"""\
Goes on with a roll-out that 'hsxctl push --canaries' began, from the file that it keeps.

  resume  goes on where it was stopped; with --retry nodes that have failed are told once more,
          and those that were not well are watched once more
  undo    brings back what each node ran before, where the roll-out has changed it
  show    what the file says; asks no node

The file is the report for programs; the page for people is beside it, with the ending .html.

{LINK_HELP}
example:
  hsxctl fleet resume rollout.json --can socketcan:can0 --key site.pem
  hsxctl fleet show rollout.json
"""


def add_parser(commands: Commands) -> None:
    """Adds `fleet` to the argument tree."""
    parser = commands.add_parser(
        "fleet",
        help="a roll-out: go on, take back, show",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("verb", choices=("resume", "undo", "show"))
    parser.add_argument("file", type=Path, metavar="rollout.json")
    parser.add_argument("--retry", action="store_true", help="resume: and try again what failed")
    add_options(parser)
    parser.set_defaults(run=run)


def add_rollout_options(parser: argparse.ArgumentParser) -> None:
    """Adds those of `push`."""
    group = parser.add_argument_group("roll-out: some nodes first, a look, then the rest")
    group.add_argument("--canaries", type=integer(0, 126), metavar="K", help="so many nodes first")
    group.add_argument(
        "--wave", type=integer(1, 126), default=0, metavar="N", help="then so many at a time"
    )
    group.add_argument(
        "--healthy",
        type=_seconds,
        default=60.0,
        metavar="S",
        help="a node is good when it runs the set for so long without a fault, and has confirmed "
        "it (default: 60)",
    )
    group.add_argument(
        "--patience",
        type=_seconds,
        default=120.0,
        metavar="S",
        help="that it has more for it (default: 120)",
    )
    group.add_argument(
        "--expect",
        type=_expectation,
        action="append",
        metavar="NAME=LOW..HIGH",
        help="and this value is in this range",
    )
    group.add_argument(
        "--confirm", action="store_true", help="do not wait until it does so itself"
    )
    group.add_argument(
        "--most-failures",
        type=_share,
        default=0.0,
        metavar="P%",
        help="of the nodes that were tried; with more it stops (default: 0%%). A canary that "
        "fails always stops it",
    )
    group.add_argument("--undo", action="store_true", help="take all back when it stops")
    group.add_argument(
        "--state",
        type=Path,
        default=Path("rollout.json"),
        metavar="FILE",
        help="where it is kept (default: rollout.json), with a page beside it",
    )


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds <= 1e6:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of seconds")
    return seconds


def _share(text: str) -> float:
    try:
        share = float(text.removesuffix("%")) / 100
    except ValueError:
        share = -1
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no share: 0% to 100%")
    return share


def _expectation(text: str) -> tuple[str, float, float]:
    name, _, limits = text.partition("=")
    low, dots, high = limits.partition("..")
    try:
        found = (name, float(low), float(high))
    except ValueError:
        found = ("", 1, 0)
    if not found[0] or not dots or not found[1] <= found[2] or math.isinf(found[1] + found[2]):
        raise argparse.ArgumentTypeError(f"'{text}' is no NAME=LOW..HIGH")
    return found


def start(arguments: argparse.Namespace, output: Output) -> int:
    """A roll-out, from `push`."""
    record.require_free(arguments.state)
    sent = image_set.bank(arguments.file)
    with Reach(arguments, output) as reach:
        rollout = r.Rollout(
            sent.digest.hex(),
            arguments.canaries,
            arguments.wave,
            arguments.healthy,
            arguments.patience,
            arguments.confirm,
            arguments.most_failures,
            arguments.undo,
            nodes={number: r.Node() for number in reach.numbers},
        )
        kept = Record(
            arguments.state,
            rollout,
            [str(path.resolve()) for path in arguments.file],
            [_image(image) for image in sent.images],
            reach.link.place,
            arguments.expect or [],
        )
        return _carried_out(reach, kept, sent, output)


def _image(image: Any) -> dict[str, Any]:
    facts = {"name": image.name, "version": image.version, "length": image.length}
    return {**facts, "sha256": image.sha256.hex()}


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Does the verb."""
    kept = record.load(arguments.file)
    if arguments.verb == "show":
        _tell(kept, output)
        return errors.DONE
    sent = image_set.bank([Path(name) for name in kept.files])
    if sent.digest.hex() != kept.rollout.digest:
        raise ToolError(
            f"EBADMSG: the files make set {sent.digest.hex()} now, not {kept.rollout.digest}",
            str(arguments.file),
            "Put back the files that it was begun with, or begin another one.",
        )
    r.resumed(kept.rollout)
    if arguments.verb == "undo":
        r.take_back(kept.rollout)
    elif arguments.retry:
        r.retry(kept.rollout)
    arguments.node = sorted(kept.rollout.nodes)
    with Reach(arguments, output) as reach:
        wanted = "undone" if arguments.verb == "undo" else "done"
        return _carried_out(reach, kept, sent, output, wanted)


def _carried_out(
    reach: Reach, kept: Record, sent: BankImage, output: Output, wanted: str = "done"
) -> int:
    def note(number: int, node: r.Node) -> None:
        if node.state in (r.WAITING, r.STEADY):
            return
        why = f": {node.reason}" if node.reason else ""
        output.note(f"hsxctl: {reach.where(number)}: {node.state}{why}")

    try:
        carry_out(kept, Work(reach, sent, kept.expect).do, note)
    except (KeyboardInterrupt, ToolError):
        kept.save(time.time())
        output.note(
            f"hsxctl: the roll-out has stopped; 'hsxctl fleet resume {kept.path}' goes on, "
            f"'hsxctl fleet undo {kept.path}' takes it back"
        )
        raise
    finally:
        kept.path.with_suffix(".html").write_text(page.html(kept))
    _tell(kept, output)
    return errors.DONE if r.verdict(kept.rollout) == wanted else errors.REFUSED


def _tell(kept: Record, output: Output) -> None:
    if not output.as_json:
        output.result({}, page.text(kept))
        return
    for row in page.rows(kept):
        output.result(row, "")
    facts = {"verdict": r.verdict(kept.rollout), "set": kept.rollout.digest}
    output.result(facts, "")
