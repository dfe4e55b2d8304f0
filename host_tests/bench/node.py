# SPDX-License-Identifier: MIT
"""The first layer: executive and VM, with a clock that the test owns. No board, boot or store."""

from hsx import native, ticks
from hsx.node.node import Node


class Clock:
    """Ticks that stand still until the test moves them."""

    def __init__(self, now: int = 0) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def forward(self, ms: int) -> int:
        self.now = ticks.add(self.now, ms)
        return self.now


class NodeBench:
    """`node`: a Node; all text, frames and events that it emits are recorded."""

    def __init__(self, pool: int = 32768, tasks: int = 8, flat: bool = False, **options) -> None:
        self.clock = Clock()
        self._turns = 0
        self.vm = native.VM(bytearray(pool), tasks, flat)
        self.text: list[tuple[str, bytes, int]] = []
        self.frames: list[tuple[str, int, bytes]] = []
        self.events: list[tuple[str, int, dict]] = []
        self.bus_full = False
        self.node = Node(
            self.vm,
            self._turn,
            stdout=lambda task, view, stream: self.text.append(
                (task.instance, bytes(view), stream)
            ),
            can_tx=self._can_tx,
            emit=lambda kind, pid, data: self.events.append((kind, pid, data)),
            **options,
        )
        self.idle = self.state()

    def _turn(self) -> int:
        """Time stands still during a slice, but not for ever: a spinning task must end it."""
        self._turns += 1
        return self.clock.now if self._turns % 64 else ticks.add(self.clock.now, 1000)

    def _can_tx(self, task, ident: int, view: memoryview) -> bool:
        if self.bus_full:
            return False
        self.frames.append((task.instance, ident, bytes(view)))
        return True

    def load(self, image: bytes, start: bool = True, chunk: int = 64, **options) -> int:
        """The PID of an image, loaded in chunks and started."""
        loading = self.node.load_begin("test", **options)
        for at in range(0, len(image), chunk):
            loading.write(memoryview(image)[at : at + chunk])
        pid = loading.end()
        if start:
            self.node.start(pid)
        return pid

    def poll(self, times: int = 1) -> int:
        due = 0
        for _ in range(times):
            due = self.node.poll(self.clock())
        return due

    def task(self, pid: int):
        return self.node.tasks.find(pid)

    def state(self) -> tuple:
        """All that a load could leave behind."""
        node = self.node
        names = [task.instance for task in node.tasks.order]
        commands = node.commands.rows() if node.commands else []
        boxes = node.mailboxes
        mailboxes = (boxes.rows(), boxes.waiting[:]) if boxes else ([], [])
        return self.vm.free(), self.vm.pids(), names, node.values.rows(), commands, mailboxes
