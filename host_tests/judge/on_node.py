# SPDX-License-Identifier: MIT
"""Runs ON a node: loads and runs golden images from its card and prints what came out.

One JSON object a line. Uses nothing but the package that is frozen.
"""

import binascii
import gc
import hashlib
import json

import hsx
from hsx import native, ticks
from hsx.errors import name as errno_name
from hsx.node import tasks as t
from hsx.node.node import Node

_WHOLE = 4096  # bytes: more than any golden image has


class Judge:
    """A node of its own around a VM, with a clock that jumps over sleeps."""

    def __init__(self, vm):
        self.now = 0
        self.uart = []
        self.can = []
        self.vm = vm
        self.node = Node(self.vm, self._clock, self._text, self._frame, io_size=256)
        self.buf = bytearray(_WHOLE)

    def _clock(self):
        return self.now

    def _text(self, task, view, stream):
        self.uart.append(str(binascii.hexlify(view), "ascii"))

    def _frame(self, task, ident, view):
        self.can.append([ident, str(binascii.hexlify(view), "ascii")])
        return True

    def load(self, path, chunk, stack):
        with open(path, "rb") as file:
            view = memoryview(self.buf)[:chunk]
            return self.node.load("SD", file.readinto, view, label=path, stack=stack)

    def run(self, path, chunk, cap):
        """One program to its end, in the words of the golden files."""
        self.uart.clear()
        self.can.clear()
        sleeps = []
        vm = self.vm
        pid = self.load(path, chunk, 4096)
        start = {"sp": vm.get(pid, native.SP), "stack_limit": vm.get(pid, native.STACK_LIMIT)}
        self.node.start(pid)
        task = self.node.tasks.find(pid)
        while task.state == t.READY:
            left = cap - vm.get(pid, native.STEPS)
            if left <= 0:
                break
            if self.node.scheduler.run(task, left, self.now) == native.SLEEP:
                sleeps.append(ticks.diff(task.wake, self.now))
                self.now = task.wake
                task.state = t.READY
        digest = None
        size = vm.get(pid, native.RO_LEN)
        if size:
            data = memoryview(self.buf)[:size]
            vm.read(pid, 0x4000, data)
            digest = str(binascii.hexlify(hashlib.sha256(data).digest()), "ascii")
        result = {
            "start": start,
            "stop": t.stop_name(task.stop) or "step_cap",
            "exit_code": task.exit_code if task.exit_code >= 0 else None,
            "steps": vm.get(pid, native.STEPS),
            "pc": vm.get(pid, native.PC),
            "flags": vm.get(pid, native.PSW),
            "regs": [vm.get(pid, n) for n in range(16)],
            "uart": self.uart,
            "can": self.can,
            "sleeps_ms": sleeps,
            "data_sha256": digest,
        }
        self.node.kill(pid)
        return result

    def verdict(self, path, chunk):
        """Whether an image is accepted, with the errno and the rule if not."""
        try:
            self.node.kill(self.load(path, chunk, 0))
        except OSError as error:
            return [errno_name(error.errno), error.rule]
        return ["accept", 0]

    def left_over(self):
        node = self.node
        boxes = node.mailboxes.rows() if node.mailboxes else []
        return [
            self.vm.free(),
            list(self.vm.pids()),
            len(node.tasks.order),
            node.values.rows(),
            boxes,
        ]


def a_vm(flat):
    """The VM that booted, with its pool; or one with the flat memory map and `flat` bytes."""
    return native.VM(bytearray(flat), 2, True) if flat else hsx.runtime().node.vm


def programs(folder, names, chunks, caps, flat):
    """Runs each program with each chunk size; a line per run, and one for what is left."""
    judge = Judge(a_vm(flat))
    idle = judge.left_over()
    for name in names:
        for chunk in chunks:
            gc.collect()
            result = judge.run("%s/%s.hxe" % (folder, name), chunk or _WHOLE, caps[name])
            print(json.dumps([name, chunk, result]))
    print(json.dumps(["left", 0, judge.left_over() == idle]))


def verdicts(folder, names, chunks, flat):
    """Judges each image with each chunk size; a line per load."""
    judge = Judge(a_vm(flat))
    idle = judge.left_over()
    for name in names:
        for chunk in chunks:
            gc.collect()
            result = judge.verdict(folder + "/" + name, chunk or _WHOLE)
            print(json.dumps([name, chunk, result + [judge.left_over() == idle]]))
