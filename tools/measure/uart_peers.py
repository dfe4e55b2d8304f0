# SPDX-License-Identifier: MIT
"""What other protocols make of the line that uart_line.py models, with the same payload.

XMODEM-1K, YMODEM and ZMODEM are the programs of lrzsz, both ends: they run as they are, and time
is the line's. A program gets what the line has brought by a moment, and runs until it waits for
more; what it wrote by then begins at that moment, on the receiver's side `latency` later. So
computing costs them nothing, as it costs the engines nothing. Intel HEX is a file that nobody
answers. The rest is not counted here: figures that are known from elsewhere, and are named so.
"""

import fcntl
import heapq
import shutil
import socket
import subprocess
import tempfile
import termios
import time
from pathlib import Path
from typing import NamedTuple

from measure.record import Figures
from measure.uart_line import BITS, TO_HOST, TO_NODE

BAUD = 115200
_PIECE = 64  # bytes that reach a program at once, unless it was sent fewer
_PATIENCE = 60  # seconds of real time for one transfer

# Sender, receiver, the receiver's further arguments.
_PROGRAMS = {
    "xmodem_1k": (("sx", "-k"), ("rx",), ("payload",)),
    "ymodem": (("sb", "-k"), ("rb",), ()),
    "zmodem": (("sz",), ("rz",), ()),
}

# Measured elsewhere on the same payload and line: worst and best of each, at 0 and at 5 ms.
_KNOWN: Figures = {
    "uart.peers.known.smp_serial_0ms_worst": 0.39,
    "uart.peers.known.smp_serial_0ms_best": 0.71,
    "uart.peers.known.smp_serial_5ms_worst": 0.28,
    "uart.peers.known.smp_serial_5ms_best": 0.70,
    "uart.peers.known.mpremote_cp_0ms": 0.33,
    "uart.peers.known.mpremote_cp_5ms_worst": 0.23,
    "uart.peers.known.mpremote_cp_5ms_best": 0.29,
}
# The same for what is counted here where lrzsz is installed.
_KNOWN_LRZSZ: Figures = {
    "uart.peers.known.xmodem_1k_0ms": 0.994,
    "uart.peers.known.xmodem_1k_5ms": 0.940,
    "uart.peers.known.ymodem_0ms": 0.986,
    "uart.peers.known.ymodem_5ms": 0.930,
    "uart.peers.known.zmodem_0ms": 0.959,
    "uart.peers.known.zmodem_5ms": 0.952,
}


class _Program:
    """A running end of a transfer. What it reads and writes passes here."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self._ours, self._theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=self._theirs.fileno(),
            stdout=self._theirs.fileno(),
            stderr=subprocess.DEVNULL,
        )

    def __enter__(self) -> "_Program":
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._ours.close()
        self._theirs.close()

    def idle(self) -> bool:
        """Whether it waits for more than it was given, or has ended."""
        if self._process.poll() is not None:
            return True
        unread = fcntl.ioctl(self._theirs, termios.FIONREAD, bytes(4))
        stat = Path(f"/proc/{self._process.pid}/stat").read_text()
        return not any(unread) and stat.rpartition(")")[2].split()[0] in "SZ"

    @property
    def over(self) -> bool:
        return self._process.poll() is not None

    def give(self, data: bytes) -> None:
        if not self.over:
            self._ours.send(data)

    def take(self) -> bytes:
        taken = b""
        while True:
            try:
                taken += self._ours.recv(65536)
            except BlockingIOError:
                return taken


class _Piece(NamedTuple):
    at: float  # when its last bit arrives
    order: int
    direction: int
    data: bytes


class _Wire:
    """The line between two programs: TO_NODE is the receiver's direction."""

    def __init__(self, sender: _Program, receiver: _Program, latency: float) -> None:
        self._programs = {TO_HOST: sender, TO_NODE: receiver}
        self._latency = latency
        self._now = 0.0
        self._free = [0.0, 0.0]
        self._pieces: list[_Piece] = []
        self._count = 0
        self.first = -1.0  # when the first byte began
        self.last = 0.0  # when the last one had arrived

    def run(self) -> None:
        """Until both programs are over. TimeoutError if they never are."""
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            self._settle()
            if self._pieces:
                piece = heapq.heappop(self._pieces)
                self._now = self.last = piece.at
                self._programs[piece.direction].give(piece.data)
            elif all(program.over for program in self._programs.values()):
                return
            else:
                time.sleep(0.01)  # one of them sleeps by its own clock, which costs it nothing
        raise TimeoutError("the transfer did not end")

    def _settle(self) -> None:
        """Lets both run until they wait, and puts on the line what they wrote."""
        while not all(program.idle() for program in self._programs.values()):
            time.sleep(0.0001)
        for direction, program in self._programs.items():
            other = TO_NODE if direction == TO_HOST else TO_HOST
            data = program.take()
            if not data:
                continue
            begin = self._now + (self._latency if other == TO_HOST else 0.0)
            begin = max(begin, self._free[other])
            if self.first < 0:
                self.first = begin
            for at in range(0, len(data), _PIECE):
                piece = data[at : at + _PIECE]
                begin += len(piece) * BITS / BAUD
                self._count += 1
                heapq.heappush(self._pieces, _Piece(begin, self._count, other, piece))
            self._free[other] = begin


def installed() -> bool:
    """Whether lrzsz is there; `make setup` brings it."""
    return all(shutil.which(program) for _, (program, *_), _ in _PROGRAMS.values())


def lrzsz(protocol: str, payload: bytes, latency: float) -> float:
    """Efficiency of a transfer by lrzsz: the payload's own time on the line over all of it, from
    the first byte of either end to the last."""
    send, receive, more = _PROGRAMS[protocol]
    with tempfile.TemporaryDirectory() as folder:
        source, sink = Path(folder, "source"), Path(folder, "sink")
        source.mkdir()
        sink.mkdir()
        (source / "payload").write_bytes(payload)
        with (
            _Program([*receive, *more], sink) as receiver,
            _Program([*send, "payload"], source) as sender,
        ):
            wire = _Wire(sender, receiver, latency)
            wire.run()
        if (sink / "payload").read_bytes()[: len(payload)] != payload:
            raise RuntimeError(f"{protocol}: the file is not what was sent")
    return len(payload) * BITS / BAUD / (wire.last - wire.first)


def intel_hex(payload: bytes) -> bytes:
    """The payload as an Intel HEX file with records of 16 bytes."""
    lines = []
    for at in range(0, len(payload), 16):
        record = bytes([16, at >> 8 & 0xFF, at & 0xFF, 0]) + payload[at : at + 16]
        lines.append(b":%s%02X\r\n" % (record.hex().upper().encode(), -sum(record) & 0xFF))
    return b"".join(lines) + b":00000001FF\r\n"


def count(payload: bytes) -> Figures:
    """Efficiencies of the others at 0 and at 5 ms; those under `known` are not counted here."""
    figures: Figures = {}
    if installed():
        for protocol in _PROGRAMS:
            for ms in (0, 5):
                efficiency = lrzsz(protocol, payload, ms / 1000)
                figures[f"uart.peers.{protocol}_{ms}ms"] = round(efficiency, 4)
    else:
        figures.update(_KNOWN_LRZSZ)
    figures["uart.peers.intel_hex"] = round(len(payload) / len(intel_hex(payload)), 4)
    figures.update(_KNOWN)
    return figures
