# SPDX-License-Identifier: MIT
"""docs/recordings.md shows what terminals show."""

import re
import signal
import time

import pytest

from bench.links import SIGNED, Terminal, wait_for
from screen import frames, plain, record, recorded

TURN = 0.001  # seconds, of a bench
RATE = 6000  # bytes a second, somewhat less than 57600 baud


@pytest.fixture
def line(bench):
    """The desk's UART, as fast as a wire."""
    uart = bench.boards[0].uart
    read, since = uart.readinto, [time.monotonic()]

    def readinto(buf, size):
        most = int((time.monotonic() - since[0]) * RATE)
        if most < 1:
            return None
        since[0] = time.monotonic()
        return read(buf, min(most, size))

    uart.readinto = readinto
    return bench


def shown_by(terminal, bench):
    return [frame.replace(bench.uart[1], "/dev/ttyUSB0") for frame in frames(terminal.shown)]


def is_half_way(frame):
    """Whether the node has a part of it."""
    done = re.search(r"([\d.]+)/([\d.]+) kB", frame)
    return bool(done) and 0.3 < float(done[1]) / float(done[2]) < 0.9


def test_push_to_one_node_looks_as_it_is_recorded(line):
    words = ["push", "large.hxe", *line.uart, *SIGNED]
    broken_off = Terminal(*words)
    while not any(map(is_half_way, frames(broken_off.shown))):
        broken_off.look(1)
    broken_off.process.send_signal(signal.SIGINT)
    assert broken_off.end() == 130
    whole = Terminal(*words)
    assert whole.end() == 0
    wait_for(line, "large")
    seen = [shown_by(terminal, line) for terminal in (broken_off, whole)]
    half = next(frame for frame in seen[0] if is_half_way(frame))
    record("One node", [half, seen[0][-1], seen[1][-1]])
    wanted = [plain(frame) for frame in recorded("One node")]
    assert wanted[0] in map(plain, seen[0])
    assert wanted[1:] == [plain(frames[-1]) for frames in seen]
