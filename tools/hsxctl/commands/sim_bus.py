# SPDX-License-Identifier: MIT
"""`hsxctl sim --nodes`: a CAN bus with emulated nodes, and the words that its console takes."""

import argparse
import contextlib
import math
import os
import selectors
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from .. import errors
from ..arguments import integer
from ..errors import ToolError
from ..output import Output, table
from ..reach import node_list
from ..simulate.bench import Bench, Cut, Faults
from ..simulate.fleet import MOST, Fleet
from ..simulate.python_can import DEFAULT

_TURN_S = 0.5  # of the loop: how long it may stay unnoticed that something has ended
_CHUNK = 4096
_WORDS = (
    ("nodes", "kind, state, process and FRAM of each"),
    ("stats", "times and frames of the bus; what each station sent, received, lost"),
    ("kill N,..", "cuts the power of nodes: they get to finish nothing"),
    ("start N,..", "switches them on again, with the FRAM that they had"),
    ("restart N,..", "both"),
    ("cut N,..", "these nodes hear only each other from now on"),
    ("heal", "all hear all"),
    ("loss P", "another share is lost from now on"),
    ("help", "this list"),
    ("quit", "ends all"),
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the bus."""
    bus = parser.add_argument_group("bus")
    bus.add_argument(
        "--nodes", type=integer(0, MOST), metavar="N", help="so many nodes on one CAN bus"
    )
    bus.add_argument("--m4", type=integer(0, MOST), metavar="K", help="of them in QEMU: default 0")
    bus.add_argument("--bitrate", type=integer(10_000, 1_000_000), metavar="N", default=500_000)
    bus.add_argument(
        "--port",
        type=integer(0, 65535),
        metavar="N",
        default=DEFAULT,
        help=f"default: {DEFAULT}; 0: a free one",
    )
    bus.add_argument("--folder", type=Path, metavar="DIR", help="FRAM files and logs of the nodes")
    bus.add_argument("--fast", action="store_true", help="the bus does not wait for the clock")
    bus.add_argument("--loss", type=_share, metavar="P", default=0.0, help="of frames, 0 to 1")
    bus.add_argument("--duplicate", type=_share, metavar="P", default=0.0, help="the same")
    bus.add_argument("--delay", type=_ms, metavar="MS", default=0.0, help="of each frame")
    bus.add_argument(
        "--partition",
        type=_cut,
        metavar="N,..[@BEGIN-END]",
        action="append",
        default=[],
        help="nodes that hear only each other, from second to second of the bus's time",
    )
    bus.add_argument("--seed", type=int, metavar="S", default=0, help="of all that is random")


def run(arguments: argparse.Namespace, programs: dict[str, Path], output: Output) -> int:
    """Runs until Ctrl-C or `quit`."""
    count, m4 = arguments.nodes, arguments.m4 or 0
    if m4 > count:
        raise ToolError(f"{m4} of {count} nodes", "", "--m4 is a part of --nodes.", errors.USAGE)
    with tempfile.TemporaryDirectory(prefix="hsxctl-") as scratch:
        folder = arguments.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        bench = _bench(arguments)
        try:
            fleet = Fleet(bench, count, m4, programs, folder)
            try:
                return _Console(bench, fleet, output).run()
            finally:
                fleet.close()
        finally:
            bench.close()


def _bench(arguments: argparse.Namespace) -> Bench:
    faults = Faults(arguments.loss, arguments.duplicate, arguments.delay)
    try:
        return Bench(
            arguments.bitrate,
            faults,
            arguments.partition,
            arguments.seed,
            arguments.fast,
            arguments.port,
        )
    except OSError as error:
        raise ToolError(
            f"port {arguments.port} is not free: {error.strerror}",
            "",
            "Is another bench running? Take another --port.",
        ) from None


class _Console:
    """What is typed, and what is said; the loop of the whole program."""

    def __init__(self, bench: Bench, fleet: Fleet, output: Output) -> None:
        self._bench = bench
        self._fleet = fleet
        self._output = output
        self._typed = b""
        self._is_over = False
        self._status = errors.DONE
        self._awaited: set[int] = set(
            fleet.members
        )  # nodes of which it is to be told that they are on
        self._is_ready = False
        self._words: dict[str, Callable[[str], object]] = {
            "nodes": lambda text: self._show_nodes(),
            "stats": lambda text: self._show_stats(),
            "kill": lambda text: self._each(text, fleet.kill),
            "start": lambda text: self._each(text, fleet.start),
            "restart": lambda text: self._each(text, self._restart),
            "cut": self._cut,
            "heal": lambda text: self._bench.heal(),
            "loss": self._loss,
            "help": lambda text: output.note(_help()),
            "quit": lambda text: self._end(errors.DONE),
        }

    def run(self) -> int:
        """Until it is to end; the exit code."""
        before = signal.signal(signal.SIGINT, self._on_signal)
        on_term = signal.signal(signal.SIGTERM, self._on_signal)
        try:
            self._listen()
            while not self._is_over:
                self._bench.run(_TURN_S)
                if not self._is_over:
                    self._look()
        finally:
            signal.signal(signal.SIGINT, before)
            signal.signal(signal.SIGTERM, on_term)
        self._output.note("hsxctl: the bus and its nodes are ended")
        return self._status

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._end(errors.INTERRUPTED)

    def _end(self, status: int) -> None:
        self._is_over = True
        self._status = status

    def _listen(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # a file, or none: it has no console
            self._bench.selector.register(sys.stdin.fileno(), selectors.EVENT_READ, self._read)

    def _read(self, mask: int) -> None:
        data = os.read(sys.stdin.fileno(), _CHUNK)
        if not data:
            self._bench.selector.unregister(sys.stdin.fileno())
            return
        *lines, self._typed = (self._typed + data).split(b"\n")
        for line in lines:
            self._do(line.decode(errors="replace").strip())

    def _do(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        if not word:
            return
        try:
            if word not in self._words:
                raise ToolError(f"'{word}' is no word of this console", "", "See 'help'.")
            self._words[word](rest.strip())
        except argparse.ArgumentTypeError as error:
            self._output.note(f"hsxctl: {word}: {error}")
        except ToolError as error:
            self._output.error(error)

    def _look(self) -> None:
        """Says what has happened by itself."""
        fleet, output = self._fleet, self._output
        for number in fleet.ended:
            text = f"node {number} has ended by itself; its log is {fleet.members[number].log}"
            output.result(fleet.members[number].facts(), text)
            self._awaited.discard(number)
        fleet.ended.clear()
        found = {number for number in self._awaited if fleet.members[number].state == "on"}
        self._awaited -= found
        if not self._is_ready:
            if not self._awaited:
                self._is_ready = True
                self._greet()
            return
        for number in sorted(found):
            output.result(fleet.members[number].facts(), f"node {number} is on")

    def _greet(self) -> None:
        channel = self._bench.channel
        nodes = [member.facts() for member in self._fleet.members.values()]
        port = channel.rpartition(":")[2]
        text = f"{len(nodes)} nodes on a CAN bus: --can hsx-bench:{port}"
        self._output.result({"channel": channel, "nodes": nodes}, text)
        self._output.note(
            f'from Python: can.Bus(interface="hsx-bench", channel="{port}")\n'
            f"for any SLCAN program: socket://{channel}\n"
            "'help' says what can be typed here; Ctrl-C ends the bus and its nodes"
        )

    # ---- words ----

    def _show_nodes(self) -> None:
        rows = [member.facts() for member in self._fleet.members.values()]
        names = ("node", "kind", "state", "pid", "fram")
        text = table(
            [name.upper() for name in names], [[row.get(name) for name in names] for row in rows]
        )
        self._output.result({"nodes": rows}, text)

    def _show_stats(self) -> None:
        facts = self._bench.stats()
        total = (
            f"{facts['frames']} frames, {facts['busy_ms']:.0f} ms of bus time in "
            f"{facts['bus_ms']:.0f} ms; by the clock {facts['elapsed_ms']:.0f} ms"
        )
        names = ("name", "transmitted", "received", "lost", "doubled", "overrun")
        rows = [[station[name] for name in names] for station in facts["stations"]]
        self._output.result(facts, f"{total}\n{table([n.upper() for n in names], rows)}")

    def _each(self, text: str, do: Callable[[int], object]) -> None:
        for number in _numbers(text, self._fleet):
            do(number)
            member = self._fleet.members[number]
            if member.state == "off":
                self._awaited.discard(number)
                self._output.result(member.facts(), f"node {number} is off")
            else:
                self._awaited.add(number)  # it is told when it is on the bus

    def _restart(self, number: int) -> None:
        self._fleet.kill(number)
        self._fleet.start(number)

    def _cut(self, text: str) -> None:
        names = [self._fleet.member(number).name for number in _numbers(text, self._fleet)]
        self._bench.cut(names)

    def _loss(self, text: str) -> None:
        self._bench.faults = self._bench.faults._replace(loss=_share(text))


def _help() -> str:
    return "\n".join(f"{word:16} {what}" for word, what in _WORDS)


def _numbers(text: str, fleet: Fleet) -> list[int]:
    found = node_list(text)
    return list(fleet.members) if isinstance(found, str) else found


def _share(text: str) -> float:
    share = _number(text)
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no number from 0 to 1")
    return share


def _ms(text: str) -> float:
    ms = _number(text)
    if not 0 <= ms <= 10_000:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of milliseconds up to 10000")
    return ms


def _cut(text: str) -> Cut:
    nodes, at, span = text.partition("@")
    begin, _, end = span.partition("-")
    numbers = node_list(nodes)
    if isinstance(numbers, str):
        raise argparse.ArgumentTypeError("all nodes are no part of them")
    names = frozenset(f"node {number}" for number in numbers)
    cut = Cut(names, _number(begin) if begin else 0.0, _number(end) if end else 0.0)
    if cut.begin < 0 or (end and cut.end <= cut.begin) or (at and not begin):
        raise argparse.ArgumentTypeError(f"'{span}' is no time: seconds, BEGIN-END")
    return cut


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"'{text}' is no number")
    return value
