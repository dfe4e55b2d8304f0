# SPDX-License-Identifier: MIT
"""`hsxctl serve`: the master of a bus, which gives nodes the set that they ask for."""

import argparse
from pathlib import Path
from typing import Any

from hsx.errors import HsxError
from hsx.link import command as c
from hsx.link.host_messages import unpack_told

from .. import clock, errors, image_set
from ..arguments import integer
from ..bank_image import BankImage
from ..connect.bus import BusNodes
from ..errors import ToolError
from ..output import Output
from ..reach import LINK_HELP, Reach, add_options
from . import Commands
from .nodes import uid_text

_HELP = f"""\
Waits on a CAN bus for nodes that ask for a set, as a node does at boot when it has nothing to run,
and sends it to all that asked at about the same time at once: each keeps it and runs it on trial.
A node that has the set already is left alone; one that failed with it three times, too.

DIR  a hsx.toml or hsx.json as of a card with its images beside it, or else all *.hxe in it; in a
     folder of it named as the unique id of a node, or node-N, what that node gets instead

{LINK_HELP}
A node that asks for signatures wants --key, and --network if it has one; nodes of another network
are not answered. Ends with Ctrl-C, or as --seconds or --count say.

example:
  hsxctl serve --can socketcan:can0 --set site --key site.pem
"""

_GATHER = 0.5  # seconds between the first question and the answer, for others to ask as well
_LOOK = 0.1  # seconds
_TRIES = 3  # of one set at one node

_MANIFESTS = ("hsx.toml", "hsx.json")


def add_parser(commands: Commands) -> None:
    """Adds `serve` to the argument tree."""
    parser = commands.add_parser(
        "serve",
        help="give nodes on a bus the set that they ask for",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--set", required=True, type=Path, metavar="DIR", dest="folder")
    parser.add_argument("--seconds", type=integer(1, 1 << 30), metavar="S", help="then end")
    parser.add_argument("--count", type=integer(1, 1 << 30), metavar="N", help="nodes, then end")
    add_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Serves."""
    sets = _Sets(arguments.folder)
    sets.of(0, "")  # what is wrong with it is said now
    reach = Reach(arguments, output)
    try:
        if not isinstance(reach.link, BusNodes):
            raise ToolError("nodes ask on a bus", "", "Give --can.", errors.USAGE)
        server = _Server(reach, reach.link, sets, arguments)
        end = clock.monotonic() + arguments.seconds if arguments.seconds else None
        output.note(f"hsxctl: serving {arguments.folder} on {reach.link.place}")
        while end is None or clock.monotonic() < end:
            server.turn()
            if arguments.count and server.served >= arguments.count:
                break
    finally:
        reach.link.close()
    return reach.status


class _Sets:
    """The sets of a folder; each is read once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[Path, BankImage] = {}

    def of(self, node: int, uid: str) -> BankImage:
        """What a node gets. ToolError, OSError."""
        for name in (uid, f"node-{node}"):
            folder = self._folder / name
            if name and "/" not in name and folder.is_dir():
                return self._read(folder)
        return self._read(self._folder)

    def _read(self, folder: Path) -> BankImage:
        if folder not in self._known:
            paths = [folder / name for name in _MANIFESTS if (folder / name).is_file()][:1]
            paths = paths or sorted(folder.glob("*.hxe"))
            if not paths:
                raise ToolError("no images", str(folder), "Put a hsx.toml or *.hxe files there.")
            self._known[folder] = image_set.bank(paths)
        return self._known[folder]


class _Server:
    def __init__(
        self, reach: Reach, link: BusNodes, sets: _Sets, arguments: argparse.Namespace
    ) -> None:
        self._reach = reach
        self._link = link
        self._sets = sets
        said = vars(arguments)
        self._network = said.get("network") or 0
        self._only = said.get("node")
        self._asking: dict[int, BankImage] = {}
        self._since = 0.0  # the first of them asked
        self._failed: dict[tuple[int, bytes], int] = {}
        self.served = 0

    def turn(self) -> None:
        """Listens for a moment, and answers who has waited for long enough."""
        for node, message in self._link.heard(_LOOK):
            self._take(node, message)
        if self._asking and clock.monotonic() - self._since >= _GATHER:
            asking, self._asking = self._asking, {}
            for sent in {wanted.digest: wanted for wanted in asking.values()}.values():
                nodes = [node for node in asking if asking[node].digest == sent.digest]
                self._send(sorted(nodes), sent)

    def _take(self, node: int, message: bytes) -> None:
        try:
            _, _, kind, _, data = unpack_told(message)
        except HsxError:
            return
        if kind != "boot" or data.get("state") != "asking" or "uid" not in data:
            return
        if isinstance(self._only, list) and node not in self._only:
            return
        if data.get("network") != self._network:
            return
        wanted = self._sets.of(node, uid_text(data["uid"]))
        failed = self._failed.get((node, wanted.digest), 0)
        if data.get("digest") == wanted.digest or failed >= _TRIES:
            return
        if not self._asking:
            self._since = clock.monotonic()
        self._asking[node] = wanted

    def _send(self, nodes: list[int], sent: BankImage) -> None:
        reach = self._reach
        began = clock.monotonic()
        header = reach.signed(
            c.STAGE, sent.digest, nodes, total=len(sent.data), flags=c.FLAG_ACTIVATE
        )
        results = self._link.push(nodes, header, sent.data, sent.digest, _silent)
        for node, errno in sorted(results.items()):
            if errno:
                key = (node, sent.digest)
                self._failed[key] = self._failed.get(key, 0) + 1
                reach.fail(reach.refused(node, "serve", reach.reason(node, errno)))
                continue
            self.served += 1
            facts: dict[str, Any] = {"node": node, "bytes": len(sent.data)}
            facts["digest"] = sent.digest.hex()
            facts["seconds"] = round(clock.monotonic() - began, 3)
            reach.output.result(facts, f"{reach.where(node)}: {len(sent.data)} bytes, whole")


def _silent(node: int, done: int, total: int) -> None:
    """Nobody watches."""
