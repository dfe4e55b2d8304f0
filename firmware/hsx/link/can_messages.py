# SPDX-License-Identifier: MIT
"""The node's end of what does not fit into a CAN frame: messages in fragments, who is there, and
the number of a node that has none.

All are LOAD frames; docs/links.md has them. A message is 1 to 512 bytes in a FIRST and the NEXTs
that it takes; one that lost a frame is never whole and is asked for again. A request that comes
once more, because the reply was lost, is answered with the same reply and not done again.
"""

import hashlib
from binascii import crc32

from micropython import const

from ..ticks import diff

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..contracts import Requests

MAX_MESSAGE = const(512)  # bytes

_NUMBER = const(6)
_WHO = const(7)
_FIRST = const(8)
_NEXT = const(9)
_ALL = const(127)
_OWN = const(0x80)  # sequence numbers of what nobody asked for

_PATIENCE = const(1000)  # ms for the fragments of a message
_MEMORY = const(5000)  # ms in which a request once more is not done once more


def short_id(unique_id: bytes) -> bytes:
    """The six bytes by which NUMBER and WHO name a node."""
    return hashlib.sha256(unique_id).digest()[:6]


class CanMessages:
    """Answers requests through `requests`; one message each way at a time."""

    def __init__(self, requests: "Requests", unique_id: bytes) -> None:
        self.buf_len = 0  # bytes of the frame that next_frame() gave
        self._requests = requests
        self._id = short_id(unique_id) if unique_id else b""
        self._says_who = False
        self._in = bytearray()  # empty, or as long as the message that comes in
        self._got = 0  # bytes of it
        self._order = 0  # of the next fragment, modulo 16
        self._sequence = 0
        self._since = 0
        self._out = b""
        self._sent = 0
        self._out_order = 0
        self._out_sequence = 0
        self._own = 0  # sequence number of the last message of our own
        # The last request and its reply.
        self._answered = (-1, 0)  # sequence, CRC-32
        self._reply = b""
        self._at = 0

    @property
    def is_sending(self) -> bool:
        return self._says_who or len(self._out) > 0

    def tell(self, data: bytes) -> bool:
        """Sends the master a message that it did not ask for. False: one is still going out."""
        if self._out:
            return False
        self._own = self._own + 1 & 0x7F
        self._send(data, _OWN | self._own)
        return True

    def frame(self, data: "memoryview | bytes", number: int, now: int) -> int:
        """A LOAD frame of the master, of the types above; at least 4 bytes. The number that the
        node has from now on, 0: as before."""
        kind = data[1] & 0x0F
        if kind == _NUMBER:
            return self._take_number(data, number)
        if data[0] != number and data[0] != _ALL:
            return 0
        if kind == _WHO:
            self._says_who = number != _ALL
        elif kind == _FIRST and len(data) > 5:
            size = data[3] | data[4] << 8
            self._in = bytearray()
            if 0 < size <= MAX_MESSAGE:
                self._in = bytearray(size)
                self._got = self._order = 0
                self._sequence = data[2]
                self._since = now
                self._take(data, 5, number, now)
        elif kind == _NEXT and self._in and self._is_next(data):
            self._take(data, 3, number, now)
        return 0

    def poll(self, now: int) -> None:
        """Forgets a message whose rest does not come."""
        if self._in and diff(now, self._since) >= _PATIENCE:
            self._in = bytearray()

    def next_frame(self, buf: bytearray) -> bool:
        """Puts a frame to send into `buf` (8 bytes), its length into `buf_len`."""
        if self._says_who:
            self._says_who = False
            buf[0] = 0
            buf[1] = _WHO
            for n in range(6):
                buf[2 + n] = self._id[n] if self._id else 0
            self.buf_len = 8
            return True
        out = self._out
        if not out:
            return False
        buf[0] = 0
        buf[2] = self._out_sequence
        at = 3
        if self._sent == 0:
            buf[1] = _FIRST
            buf[3] = len(out) & 0xFF
            buf[4] = len(out) >> 8
            at = 5
        else:
            buf[1] = _NEXT | self._out_order << 4
            self._out_order = self._out_order + 1 & 0x0F
        while at < 8 and self._sent < len(out):
            buf[at] = out[self._sent]
            self._sent += 1
            at += 1
        if self._sent == len(out):
            self._out = b""
        self.buf_len = at
        return True

    def _is_next(self, data: "memoryview | bytes") -> bool:
        return data[2] == self._sequence and data[1] >> 4 == self._order

    def _take_number(self, data: "memoryview | bytes", number: int) -> int:
        # Only who has none takes one: to change it is a matter of signed commands.
        if len(data) < 8 or number != _ALL or bytes(data[2:8]) != self._id:
            return 0
        if not 0 < data[0] < _ALL or self._requests.number(data[0]):
            return 0
        self._says_who = True
        return data[0]

    def _take(self, data: "memoryview | bytes", start: int, number: int, now: int) -> None:
        into = self._in
        if len(data) - start > len(into) - self._got:
            self._in = bytearray()
            return
        for at in range(start, len(data)):
            into[self._got] = data[at]
            self._got += 1
        if start == 3:
            self._order = self._order + 1 & 0x0F
        if self._got < len(into):
            return
        self._in = bytearray()
        key = (self._sequence, crc32(into))
        if key != self._answered or diff(now, self._at) >= _MEMORY:
            self._answered = key
            self._at = now
            self._reply = self._requests.message(memoryview(into), now)
        # Of all nodes at once nobody answers.
        if self._reply and number != _ALL and data[0] != _ALL:
            self._send(self._reply, self._sequence)

    def _send(self, data: bytes, sequence: int) -> None:
        self._out = data
        self._sent = self._out_order = 0
        self._out_sequence = sequence
