# SPDX-License-Identifier: MIT
"""`hsxctl run`: an image, alone or with others, on the C core and through the node's layers."""

import argparse
import contextlib
import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

from hsx import native, ticks
from hsx.errors import HsxError
from hsx.node import tasks as t
from hsx.node.node import Node

from .. import errors
from ..arguments import integer
from ..output import Output
from . import Commands, run_node

_HELP = """\
Runs an image on the C core through the node's own layers, as the only task, until it ends or the
step cap is reached. Needs: an .hxe file that 'verify' accepts. Time does not pass: a sleep ends
at once. The app's text goes to stdout as it comes, a summary to stderr.

The default profile 'flat' is the reference's map: 64 KiB of data and 4 KiB of stack, so results
compare with the reference's. 'segmented' is what nodes have: only the memory that the image asks
for, 1.5 KiB of stack. A program that behaves differently there touches memory it does not own.

--node loads any number of images, in this order, into one node with values, commands and
mailboxes, and runs them until none can go on. Time stands still while one of them runs, and jumps
to the next deadline when all wait. --max-steps holds for each task. With --json one object:
{"tasks": [{"program", "stop", "r0", "data"}]}, in the order of loading: the file's name without
its ending, how it ended ('waiting': for a message that never comes), R0, and the bytes of its
rodata at the end as hex.

Exit code 0: it ended by exit or return (whatever its own code), at a breakpoint or at the cap, or
waits; 1: it faulted, or an image was refused; 130: interrupted.

example:
  hsxctl run hello.hxe --max-steps 100000
  hsxctl run --node producer.hxe consumer.hxe --json
"""

_MAX_STEPS = 2_000_000
_STEPS_TOP = 0xFFFFFFFF  # the core counts 32 bits
_STACK_TOP = 0xC000  # bytes from the data's base up to the end of memory
_TURN = 100_000  # steps; a Ctrl-C waits for one turn at most
_POOL = 256 * 1024  # bytes; code and data of the largest image, flat
_DATA_BASE = 0x4000
_IO_SIZE = 0x10000  # bytes; above the longest write, so that each comes in one piece
_ENDINGS = ("exit", "returned", "brk", "step_cap", "waiting")  # no faults
_CHUNK = 4096  # bytes of the image at a time


def add_parser(commands: Commands) -> None:
    """Adds `run` to the argument tree."""
    parser = commands.add_parser(
        "run",
        help="run an image here, on the node's own code",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, metavar="FILE.hxe", nargs="+")
    parser.add_argument(
        "--node", action="store_true", help="all files together in one node, until none can go on"
    )
    parser.add_argument("--json", action="store_true", help="the result as one JSON object")
    parser.add_argument(
        "--max-steps",
        type=integer(0, _STEPS_TOP),
        default=_MAX_STEPS,
        metavar="N",
        help=f"stop after N instructions (default {_MAX_STEPS})",
    )
    parser.add_argument("--profile", choices=("flat", "segmented"), default="flat")
    parser.add_argument(
        "--stack",
        type=integer(4, _STACK_TOP),
        default=0,
        metavar="BYTES",
        help="stack of the task (default: 4096 flat, 1536 segmented)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Loads, runs, and reports where it stopped."""
    if arguments.node:
        return run_node.run(arguments, output)
    if len(arguments.file) > 1:
        raise errors.ToolError(
            "one file runs alone", remedy="Add --node to run several.", status=errors.USAGE
        )
    file_path = arguments.file[0]
    path = str(file_path)
    bench = Bench(arguments.profile == "flat", text_out=not output.as_json)
    with file_path.open("rb") as file:
        try:
            bench.load(file.readinto, path, arguments.stack)
        except HsxError as error:
            raise errors.refused_image(path, error) from None
    stop = "interrupted"
    with contextlib.suppress(KeyboardInterrupt):
        stop = bench.run(arguments.max_steps)
    facts = bench.facts(stop)
    if output.as_json:
        output.result(facts, "")
    else:
        if facts["uart"] and not "".join(facts["uart"]).endswith("0a"):
            output.note("")  # the app's text ends in the middle of a line
        output.note(_summary(path, facts))
    if stop == "interrupted":
        return errors.INTERRUPTED
    return errors.DONE if stop in _ENDINGS else errors.REFUSED


class Bench:
    """A node with one task whose time is ours. `text_out`: the app's text goes to stdout."""

    def __init__(self, flat: bool, text_out: bool = False) -> None:
        self._now = 0
        self._text_out = text_out
        self.vm = native.VM(bytearray(_POOL), 1, flat)
        self.node = Node(
            self.vm,
            clock=lambda: self._now,
            stdout=self._uart,
            can_tx=self._can,
            io_size=_IO_SIZE,
            slice_ms=0,  # a poll is one turn, so that the cap holds to the instruction
        )
        self.uart: list[str] = []  # each write as hex
        self.can: list[tuple[int, str]] = []
        self.sleeps_ms: list[int] = []
        self.pid = 0

    def load(
        self, readinto: Callable[[memoryview], int | None], source: str, stack: int = 0
    ) -> None:
        """Loads and starts the image. HsxError as Node.load()."""
        self.pid = self.node.load(
            source, readinto, memoryview(bytearray(_CHUNK)), label=source, stack=stack
        )
        self.node.start(self.pid)

    def run(self, max_steps: int) -> str:
        """Runs until the task ends or has counted `max_steps` instructions; time jumps over its
        sleeps, and over what it waits for: nobody else is there to send. Gives the stop in the
        words of host_tests/golden/README.md, or "waiting": for ever."""
        task = self.node.tasks.find(self.pid)
        while task.state in (t.READY, t.SLEEPING, t.WAITING):
            left = max_steps - self.vm.get(self.pid, native.STEPS)
            if left <= 0:
                return "step_cap"
            asleep = task.state == t.SLEEPING
            if task.state == t.WAITING and task.wake == t.NEVER:
                return "waiting"
            still_asleep = asleep and task.sleep_left > 0  # longer than one tick can express
            if task.state != t.READY:
                self._now = task.wake
            task.quantum = min(left, _TURN)
            self.node.poll(self._now)
            if task.state == t.SLEEPING and not still_asleep:
                self.sleeps_ms.append(ticks.diff(task.wake, self._now) + task.sleep_left)
        return t.stop_name(task.stop)

    def facts(self, stop: str) -> dict:
        """The state of the task, in the fields of host_tests/golden/README.md."""
        get = self.vm.get
        data = bytearray(get(self.pid, native.RO_LEN))
        self.vm.read(self.pid, _DATA_BASE, data)
        return {
            "stop": stop,
            "exit_code": get(self.pid, 0) if stop in ("exit", "returned") else None,
            "steps": get(self.pid, native.STEPS),
            "pc": get(self.pid, native.PC),
            "flags": get(self.pid, native.PSW),
            "regs": [get(self.pid, number) for number in range(16)],
            "uart": self.uart,
            "can": self.can,
            "sleeps_ms": self.sleeps_ms,
            "data_sha256": hashlib.sha256(data).hexdigest() if data else None,
        }

    def _uart(self, task: t.Task, view: memoryview, stream: int) -> None:
        self.uart.append(view.hex())
        if self._text_out:
            sys.stdout.buffer.write(view)
            sys.stdout.flush()

    def _can(self, task: t.Task, ident: int, view: memoryview) -> bool:
        self.can.append((ident, view.hex()))
        return True


def _summary(path: str, facts: dict) -> str:
    ending = facts["stop"]
    if facts["exit_code"] is not None:
        ending += f" {facts['exit_code']}"
    if ending == "interrupted":
        ending = "interrupted, still running"
    lines = [f"hsxctl: {path}: {ending} after {facts['steps']} steps, PC {facts['pc']:#06x}"]
    if facts["can"]:
        ident, data = facts["can"][-1]
        lines.append(
            f"  CAN frames: {len(facts['can'])}, the last {ident:#05x} {data or '(empty)'}"
        )
    if facts["stop"] not in ("exit", "returned", "step_cap"):
        regs = facts["regs"]
        for row in range(0, 16, 4):
            cells = (f"R{number:<2} {regs[number]:08x}" for number in range(row, row + 4))
            lines.append("  " + "  ".join(cells))
    return "\n".join(lines)
