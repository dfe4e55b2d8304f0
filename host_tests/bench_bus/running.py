# SPDX-License-Identifier: MIT
"""A bench bus in a thread of its own, with nodes that are sockets, not processes."""

import socket
import threading

from hsxctl.simulate.bench import Bench

TURN = 0.0005  # seconds
LONGEST = 30.0  # seconds


class Adapter:
    """The far end of a node's socket: an SLCAN adapter that answers as a node does, frame by
    frame, and keeps what it heard. `answers`: whether it does."""

    def __init__(self, bench: Bench, name: str, answers: bool = True) -> None:
        ours, self.link = socket.socketpair()
        self.heard: list[bytes] = []
        self.answers = answers
        self.opened = 0
        self._rest = b""
        self.port = bench.add_node(ours, name)
        self.link.setblocking(False)

    def turn(self) -> None:
        """Takes what is there."""
        try:
            data = self.link.recv(1 << 16)
        except BlockingIOError:
            return
        *lines, self._rest = (self._rest + data).split(b"\r")
        for line in lines:
            if line == b"O":
                self.opened += 1
                self.link.send(b"\r")
            else:
                self.heard.append(line)
                if self.answers:
                    self.link.send(b"\r")

    def say(self, *lines: bytes) -> None:
        """Frames that the node sends."""
        self.link.send(b"".join(line + b"\r" for line in lines))


class Clock:
    """Seconds that pass only in `turns`."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def turns(bench: Bench, adapters, over) -> bool:
    """Lets a bench run until something is over, TURN seconds of its clock at a time; False: it was
    not in LONGEST."""
    end = bench.clock() + LONGEST
    while not over():
        if bench.clock() > end:
            return False
        bench.clock.now += TURN
        bench.run(0)
        for adapter in adapters:
            adapter.turn()
    return True


class Running:
    """A bench that runs in a thread, for programs that wait for it."""

    def __init__(self, **options) -> None:
        self.bench = Bench(**options)
        self.channel = self.bench.channel
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Running":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self.bench.close()

    def _run(self) -> None:
        while not self._over.is_set():
            self.bench.run(0.02)
