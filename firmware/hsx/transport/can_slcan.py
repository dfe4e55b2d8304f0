# SPDX-License-Identifier: MIT
"""CAN over a UART, for boards without a controller and for emulated ones: the node is an SLCAN
adapter (LAWICEL's ASCII protocol) and the one other station on the bus behind it. What the host
sends, the node receives; what the node sends, the host receives.
"""

from micropython import const

from ..native import slcan_format, slcan_parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..contracts import CanEngine

_CHUNK = const(224)  # bytes that one read takes
_CARRY = const(32)  # bytes of a line that the read before has left: the longest has 27
_READS = const(8)  # in a poll

_CLOSED = const(0)
_OPEN = const(1)

_BAD = b"\a"
_DONE = b"\r"
_CHANNEL = (b"C", b"O", b"L")  # by the state that each leads to
# Taken, and of no meaning here: bit rate, filter, extended and remote frames; an empty line.
_TAKEN = b"SsMmTRr"
_ANSWERS = ((b"V", b"V1010\r"), (b"v", b"v0100\r"), (b"N", b"NHSX1\r"), (b"F", b"F00\r"))


class SlcanRunner:
    """`uart`: a `machine.UART` that never waits, to read from (`timeout=0`). The host's channel is
    closed until it opens it; frames that the node has to send wait for that in the engine."""

    name = "SLCAN"

    def __init__(self, uart: "Any", engine: "CanEngine") -> None:
        self._uart = uart
        self._engine = engine
        self._buf = bytearray(_CARRY + _CHUNK)
        self._room = memoryview(self._buf)[_CARRY:]
        self._start = _CARRY  # where the line begins that the next read goes on with
        self._skip = False  # until its end a line is none: it was too long
        self._frame = engine.frame
        self._data = bytearray(8)
        self._views = tuple([memoryview(self._data)[:n] for n in range(9)])
        self._line = memoryview(bytearray(22))
        self._lines = tuple([self._line[: 6 + 2 * n] for n in range(9)])
        self._nothing = self._line[:0]
        self._unsent = self._nothing  # what the UART did not take of a line
        self._state = _CLOSED
        self._received = 0
        self._sent = 0
        self._lost = 0

    def open(self) -> None:
        """Waits for a host, with what has come before left out."""
        while self._uart.readinto(self._room):
            pass
        self._start = _CARRY
        self._skip = False
        self._state = _CLOSED

    def poll(self, now: int) -> int:
        """Hands on what has come and sends what is due. Returns milliseconds until it wants to
        be called again."""
        reads = _READS
        while reads:
            count = self._uart.readinto(self._room)
            if not count:
                break
            self._split(_CARRY + count, now)
            reads -= 1
        wait = self._engine.poll(now)
        self._send()
        return wait if reads else 0

    def close(self) -> None:
        """The host's channel is closed; what it sends from now on is not read."""
        self._state = _CLOSED
        self._unsent = self._nothing

    def stats(self) -> "dict[str, int]":
        """Frames received and sent; lines that were no frame and no command; the state of the
        host's channel: 0 closed, 1 open, 2 it only listens."""
        return {
            "received": self._received,
            "sent": self._sent,
            "lost": self._lost,
            "state": self._state,
        }

    def _split(self, stop: int, now: int) -> None:
        """Takes the whole lines; what is left moves in front of where the next read begins."""
        buf = self._buf
        data = self._data
        views = self._views
        frame = self._frame
        at = self._start
        end = buf.find(_DONE, at, stop)
        while end >= 0:
            got = slcan_parse(buf, at, end, data)
            if got < 0 or self._skip or self._state != _OPEN:
                self._command(bytes(memoryview(buf)[at:end]))
            else:
                if self._unsent is self._nothing:
                    self._uart.write(_DONE)
                self._received += 1
                frame(got & 0x7FF, views[got >> 11], now)
            at = end + 1
            end = buf.find(_DONE, at, stop)
        if stop - at > _CARRY:
            self._skip = True
            at = stop
        to = _CARRY - (stop - at)
        self._start = to
        while at < stop:
            buf[to] = buf[at]
            at += 1
            to += 1

    def _command(self, text: bytes) -> None:
        reply = _BAD
        if self._skip:
            self._skip = False
        elif text in _CHANNEL:
            self._state = _CHANNEL.index(text)
            reply = _DONE
        elif text[:1] in _TAKEN:
            reply = _DONE
        else:
            for question, answer in _ANSWERS:
                if text == question:
                    reply = answer
        if reply is _BAD:
            self._lost += 1
        self._reply(reply)

    def _reply(self, text: bytes) -> None:
        """Not into a line that is under way: the frame counts more."""
        if self._unsent is self._nothing:
            written = self._uart.write(text)
            if written and written < len(text):
                self._unsent = memoryview(text)[written:]

    def _send(self) -> None:
        """Frames, as long as the host listens and the UART takes them."""
        engine = self._engine
        while True:
            if self._unsent is not self._nothing:
                written = self._uart.write(self._unsent)
                if written != len(self._unsent):
                    self._unsent = self._unsent[written or 0 :]
                    return
                self._unsent = self._nothing
            if self._state == _CLOSED:
                return
            ident = engine.next_frame(self._data)
            if ident < 0:
                return
            length = engine.buf_len
            slcan_format(ident, self._views[length], self._line)
            self._unsent = self._lines[length]
            self._sent += 1
