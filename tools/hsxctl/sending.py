# SPDX-License-Identifier: MIT
"""A set, or an image, on its way to the nodes of a Reach; with a bar for each on a terminal."""

import contextlib
import sys
from collections.abc import Iterator
from typing import NamedTuple

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Bars

from hsx.errors import EPERM
from hsx.link import command as c
from hsx.link.can_framing import BLOCK_SIZE

from . import push_plan
from .bank_image import BankImage
from .connect import Progress
from .reach import SEEN, Reach


class Sent(NamedTuple):
    """`results`: the errno of each node, 0: it is there. `before`: bytes that a node had from its
    start on when the first were sent."""

    results: dict[int, int]
    before: dict[int, int]


def send(reach: Reach, nodes: list[int], sent: BankImage, action: int, flags: int) -> Sent:
    """A second push within the same second is signed once more. ToolError, KeyboardInterrupt as
    Nodes.push."""
    waiting = list(nodes)
    plan = None
    if action == c.STAGE:
        plan = push_plan.blocks(sent, (push_plan.held(reach, node) for node in waiting))
    results: dict[int, int] = {}
    before: dict[int, int] = {}
    again = False
    with _bars(reach, nodes, len(sent.data)) as show:

        def progress(node: int, done: int, total: int) -> None:
            # What is told first has some bytes of what is sent now in it.
            before.setdefault(node, done - done % BLOCK_SIZE)
            show(node, done, total)

        while waiting:
            header = reach.signed(action, sent.digest, waiting, total=len(sent.data), flags=flags)
            results |= reach.link.push(waiting, header, sent.data, sent.digest, progress, plan)
            seen = [node for node in waiting if results[node] == EPERM and not again]
            seen = [node for node in seen if reach.reason(node, EPERM).detail == SEEN]
            again = True
            waiting = seen if seen and reach.may_sign_again() else []
    return Sent(results, before)


@contextlib.contextmanager
def _bars(reach: Reach, nodes: list[int], total: int) -> Iterator[Progress]:
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
    # What stands in for a redirected stream loses a Ctrl-C that comes while it is freed, and one
    # that comes while it is taken away leaves it there, without a cursor.
    console = Console(stderr=True)
    with Bars(*columns, console=console, redirect_stdout=False, redirect_stderr=False) as bars:
        for node in nodes:
            tasks[node] = bars.add_task(reach.where(node), total=total)
        yield lambda node, done, total: bars.update(tasks[node], completed=done)
