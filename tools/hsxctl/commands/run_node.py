# SPDX-License-Identifier: MIT
"""`hsxctl run --node`: images together in one node, until none of them can go on."""

import argparse
import contextlib
import sys
from pathlib import Path

from hsx import native, ticks
from hsx.errors import HsxError
from hsx.node import tasks as t
from hsx.node.node import Node

from .. import errors
from ..output import Output

_TURN = 10_000  # steps; tasks take turns, and a Ctrl-C waits for one turn at most
_POOL = 192 * 1024  # bytes for each image: code, data and stack of the largest one, flat
_MOST = 32  # tasks that the core takes
_DATA_BASE = 0x4000
_IO_SIZE = 0x10000  # bytes; above the longest write, so that each comes in one piece
_CHUNK = 4096  # bytes of an image at a time
_ENDINGS = ("exit", "returned", "brk", "step_cap", "waiting", "interrupted")  # no faults


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Loads all files, runs them, and reports what each has come to."""
    together = Together(
        len(arguments.file), arguments.profile == "flat", text_out=not output.as_json
    )
    for path in arguments.file:
        try:
            together.load(path, arguments.stack)
        except HsxError as error:
            raise errors.refused_image(str(path), error) from None
    interrupted = True
    with contextlib.suppress(KeyboardInterrupt):
        together.run(arguments.max_steps)
        interrupted = False
    facts = together.facts()
    if output.as_json:
        output.result({"tasks": facts}, "")
    else:
        if together.unfinished_line:
            output.note("")
        for task in facts:
            output.note(f"hsxctl: {task['program']}: {task['stop']}, R0 {task['r0']:#x}")
    if interrupted:
        return errors.INTERRUPTED
    return errors.DONE if all(task["stop"] in _ENDINGS for task in facts) else errors.REFUSED


class Together:
    """A node whose time is ours, with room for `count` images. `text_out`: the apps' text goes to
    stdout."""

    def __init__(self, count: int, flat: bool, text_out: bool = False) -> None:
        self._now = 0
        self._text_out = text_out
        self._programs: list[tuple[str, t.Task]] = []
        self._max_steps = 0
        self.unfinished_line = False  # the text ends in the middle of one
        self._vm = native.VM(bytearray(_POOL * count), min(count, _MOST), flat)
        self.node = Node(
            self._vm,
            clock=lambda: self._now,
            stdout=self._text,
            can_tx=lambda task, ident, view: True,
            io_size=_IO_SIZE,
            slice_ms=0,  # a poll is one turn, so that the cap holds to the instruction
        )

    def load(self, path: Path, stack: int = 0) -> None:
        """Loads one more image, which runs with the others. HsxError as Node.load()."""
        with path.open("rb") as file:
            buf = memoryview(bytearray(_CHUNK))
            pid = self.node.load(str(path), file.readinto, buf, label=str(path), stack=stack)
        self._programs.append((path.stem, self.node.tasks.find(pid)))

    def run(self, max_steps: int) -> None:
        """Starts all and runs them until none can go on: each has ended, waits for ever or has
        counted `max_steps` instructions. Where all wait, time jumps to the next deadline."""
        self._max_steps = max_steps
        tasks = [task for _, task in self._programs]
        for task in tasks:
            self.node.start(task.pid)
        while True:
            for task in tasks:
                task.quantum = min(self._left(task), _TURN)
            going = [task for task in tasks if self._left(task)]
            if not any(task.state == t.READY for task in going):
                due = [ticks.diff(task.wake, self._now) for task in going if _is_timed(task)]
                if not due:
                    return
                self._now = ticks.add(self._now, max(min(due), 0))
            self.node.poll(self._now)

    def facts(self) -> list[dict]:
        """What each has come to, in the order of loading, in the words of
        host_tests/golden/README.md."""
        return [self._facts(program, task) for program, task in self._programs]

    def _facts(self, program: str, task: t.Task) -> dict:
        data = bytearray(self._vm.get(task.pid, native.RO_LEN))
        self._vm.read(task.pid, _DATA_BASE, data)
        stop = t.stop_name(task.stop)
        if not stop and not self._left(task):
            stop = "step_cap"
        elif not stop:
            is_for_ever = task.state == t.WAITING and not _is_timed(task)
            stop = "waiting" if is_for_ever else "interrupted"
        return {
            "program": program,
            "stop": stop,
            "r0": self._vm.get(task.pid, 0),
            "data": data.hex(),
        }

    def _left(self, task: t.Task) -> int:
        """Instructions that a task may still count."""
        return max(self._max_steps - self._vm.get(task.pid, native.STEPS), 0)

    def _text(self, task: t.Task, view: memoryview, stream: int) -> None:
        if self._text_out and view:
            sys.stdout.buffer.write(view)
            sys.stdout.flush()
            self.unfinished_line = view[-1] != 0x0A


def _is_timed(task: t.Task) -> bool:
    """Whether a task goes on when its time has come."""
    return task.state == t.SLEEPING or (task.state == t.WAITING and task.wake != t.NEVER)
