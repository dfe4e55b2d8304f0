# SPDX-License-Identifier: MIT
"""An engine that remembers what it is given and sends what it is told to."""


class StubEngine:
    """`received`: (identifier, data) as they came; `to_send`: the same, yet to go; `wait`: what
    poll answers."""

    def __init__(self):
        self.received = []
        self.to_send = []
        self.wait = 100
        self.buf_len = 0
        self.now = None
        self.polls = 0

    def frame(self, ident, data, now):
        self.received.append((ident, bytes(data)))
        self.now = now

    def poll(self, now):
        self.polls += 1
        return self.wait

    def next_frame(self, buf):
        if not self.to_send:
            return -1
        ident, data = self.to_send.pop(0)
        buf[: len(data)] = data
        self.buf_len = len(data)
        return ident


def a_run(block, frames=64):
    """BLOCK and the DATA frames of a run, all different: (identifier, 8 bytes)."""
    parity = (block & 1) << 6
    yield 0x780, bytes([block & 0xFF]) * 8
    for index in range(frames):
        yield 0x700 | parity | index, bytes([block & 0xFF, index] * 4)


def bulk(count):
    """The first `count` frames of a long transfer."""
    frames = []
    block = 0
    while len(frames) < count:
        frames += a_run(block)
        block += 1
    return frames[:count]
