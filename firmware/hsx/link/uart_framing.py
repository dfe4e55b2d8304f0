# SPDX-License-Identifier: MIT
"""Bytes of a serial line to frames: COBS with a CRC-32, a zero behind each (docs/links.md).

No other byte of a frame is zero, so a receiver that comes in at any point, or loses any byte, has
the next frame again. What is no frame is counted and dropped.
"""

from ..native import cobs_decode


class Deframer:
    """Collects frames in `into`: 4 bytes more than the longest content."""

    def __init__(self, into: "memoryview") -> None:
        self.into = into  # the content, when `take` says so; replaced between two frames only
        self.size = 0  # bytes of the content
        self.frames = 0  # good ones so far
        self.broken = 0  # wrong CRC, cut short, too long
        self._state = bytearray(4)

    def take(self, data: "bytes | bytearray", at: int, end: int) -> int:
        """Takes data[at:end] up to the end of the next frame, good or broken, and returns the
        index behind it; 0 where there is none. `size` is 0 unless the frame was good."""
        self.size = 0
        while True:
            at = cobs_decode(self._state, self.into, data, at, end)
            if at == 0:
                return 0
            if self._state[3] == 5:
                self.size = self._state[0] | self._state[1] << 8
                self.frames += 1
                return at
            if self._state[3] == 6:
                self.broken += 1
                return at
            if at == end:
                return 0
