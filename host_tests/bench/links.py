# SPDX-License-Identifier: MIT
"""The fourth layer: nodes with real links that go on by themselves, for tests of `hsxctl`.

Each node is a `ServiceBench` with the links of a board: a UART, which is a pty, and a station on a
virtual bus of python-can. One thread polls all nodes. Nodes and hsxctl, which runs in the same
process, share one clock. It goes STEP on with each turn of that thread: on a slow machine it goes
slower. While hsxctl runs as a process of its own (`Terminal`), the clock goes as time does.
"""

import itertools
import os
import pty
import select
import subprocess
import sys
import threading
import time

import can

from bench.pty_uart import PtyUart
from bench.service import NETWORK, NODE, ServiceBench
from hsx.boot.links import Links
from hsx.ticks import wrap
from hsx.transport.uart import UartRunner
from hsxctl import clock
from waiting import PATIENCE, Deadline, until

LINKS = ("uart", "can")
SIGNED = ["--network", str(NETWORK), "--key", "admin.pem"]

_CHANNELS = itertools.count()
STEP = 0.001  # seconds of the clock in each turn
_TURN = 0.001  # seconds between turns
_MOST = 0.01  # seconds of the clock in a turn that comes late
_FRAMES = 64  # of one poll


class _Station:
    """A runner of `CanNode` on a virtual bus."""

    name = "CAN"

    def __init__(self, channel: str, engine) -> None:
        self._channel = channel
        self._engine = engine
        self._buf = bytearray(8)

    def open(self) -> None:
        self._bus = can.Bus(interface="virtual", channel=self._channel)

    def close(self) -> None:
        self._bus.shutdown()

    def poll(self, now: int) -> int:
        for _ in range(_FRAMES):
            message = self._bus.recv(0)
            if message is None:
                break
            self._engine.frame(message.arbitration_id, memoryview(bytes(message.data)), now)
        self._engine.poll(now)
        while (ident := self._engine.next_frame(self._buf)) >= 0:
            data = self._buf[: self._engine.buf_len]
            self._bus.send(can.Message(arbitration_id=ident, data=data, is_extended_id=False))
        return 0


class _Board:
    """What Links asks of a board."""

    NAME = "desk"

    def __init__(self, uid: bytes, channel: str) -> None:
        self.uart = PtyUart()
        self._uid = uid
        self._channel = channel

    def unique_id(self) -> bytes:
        return self._uid

    def links(self, links: Links) -> list:
        uart = UartRunner(lambda: self.uart, links.uart("UART:1"))
        return [uart, _Station(self._channel, links.can("CAN:%d"))]


class LinksBench:
    """`nodes`: one for each number; 127 for a node without a number. `uart`, `can`: options of
    hsxctl for the first node and for the bus. `now`: seconds of the clock. Use it as a context
    manager."""

    def __init__(self, *numbers: int) -> None:
        channel = f"desk-{next(_CHANNELS)}"
        self.nodes: list[ServiceBench] = []
        self.boards: list[_Board] = []
        self.lock = threading.Lock()  # held while the polling thread or a test uses a node
        for number in numbers or (NODE,):
            node = ServiceBench()
            node.policy.number = number
            board = _Board(f"desk{len(self.nodes)}".encode(), channel)
            node.runtime.links = Links(board, node.service)
            node.runtime.links.open()
            self.nodes.append(node)
            self.boards.append(board)
        self.uart = ["--uart", self.boards[0].uart.path]
        self.can = ["--can", f"virtual:{channel}"]
        self.channel = channel
        self.now = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._polls)

    def __enter__(self) -> "LinksBench":
        self._real = clock.monotonic, clock.sleep, clock.patient
        clock.monotonic, clock.sleep = lambda: self.now, self.sleep
        clock.patient = lambda wait: wait  # the clock waits for slow nodes
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        clock.monotonic, clock.sleep, clock.patient = self._real
        for node, board in zip(self.nodes, self.boards, strict=True):
            node.runtime.links.runners[1].close()
            board.uart.close()

    def told(self, kind: str, node: int = 0) -> list[dict]:
        """The events of this kind of one of the nodes."""
        with self.lock:
            return self.nodes[node].told(kind)

    def sleep(self, seconds: float) -> None:
        """Until so much of the clock has passed."""
        end = self.now + seconds
        while self.now < end:
            time.sleep(_TURN)

    def _polls(self) -> None:
        before = time.monotonic()
        while not self._over.wait(_TURN):
            since, before = before, time.monotonic()
            self.now += min(_MOST, before - since) if Terminal.running else STEP
            for node in self.nodes:
                with self.lock:
                    node.clock.now = wrap(int(self.now * 1000))
                    node.board.tick(None)


def wait_for(bench, *apps, node=0):
    """Waits until these apps run on a node, and no others."""

    def they_run() -> bool:
        with bench.lock:
            there = bench.nodes[node]
            return there.runs() == sorted(apps) and not there.service.work.is_busy()

    until(they_run)


def link_of(bench, kind):
    """Options for the one node of a bench."""
    return bench.uart if kind == "uart" else [*bench.can, "--node", str(NODE)]


class Terminal:
    """hsxctl as its own process on a terminal. `shown`: what it has shown so far; `running`: how
    many of them there are."""

    running = 0

    def __init__(self, *words):
        Terminal.running += 1
        # Our copy of its end stays open: without one, Linux may drop what was written last.
        self.handle, self._theirs = pty.openpty()
        self.shown = b""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hsxctl", *map(str, words)],
            stdin=self._theirs,
            stdout=self._theirs,
            stderr=self._theirs,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
        )

    def until(self, text):
        """Until this is shown, or the process ends. AssertionError: neither, for PATIENCE."""
        deadline = Deadline()
        while text not in self.shown:
            if deadline.over():
                self.process.kill()
                raise AssertionError(f"hsxctl goes on, after {self.shown!r}")
            has_ended = self.process.poll() is not None
            # A kernel thread hands on what was written, maybe after the process has ended.
            if not self.look(0.5 if has_ended else 0.05) and has_ended:
                break
        return text in self.shown

    def look(self, seconds):
        """Waits up to `seconds` for what it shows; whether there was something."""
        if not select.select([self.handle], [], [], seconds)[0]:
            return False
        self.shown += os.read(self.handle, 4096)
        return True

    def end(self):
        self.until(b"no such text")
        os.close(self.handle)
        os.close(self._theirs)
        status = self.process.wait(PATIENCE)
        Terminal.running -= 1
        return status
