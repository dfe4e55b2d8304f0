# SPDX-License-Identifier: MIT
"""The node's end of a UART link: takes transfers, answers messages, tells events.

Sans-I/O: bytes of the line go in by `receive`, time by `poll`, bytes for the line come out of
`output`. Frames and rules stand in docs/links.md; a number there is a constant here.

A frame is decoded in the one buffer there is and written to the sink before the next one is taken,
so flow control is the window alone: what is under way fits the driver's buffer while the sink
writes. A sink that needs order gets smaller chunks: what they leave of the buffer holds the frames
that came behind a broken one.
"""

from micropython import const

from .. import ticks
from ..errors import EINVAL, ENOTSUP
from ..native import cobs_encode
from .uart_framing import Deframer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..contracts import Messages, Sink

_VERSION = const(1)

# Kinds of frames, byte 0. Bit 7: DATA; bit 6: from a node.
_HELLO = const(0x01)
_BEGIN = const(0x02)
_ABORT = const(0x03)
_REQUEST = const(0x04)
_LIMITS = const(0x41)
_STATE = const(0x42)
_ACK = const(0x43)
_REPLY = const(0x44)
_EVENT = const(0x45)

# Phases of a session, as STATE tells them.
_NONE = const(0)
_RECEIVING = const(1)
_VERIFYING = const(2)
_DONE = const(3)
_FAILED = const(4)

# What is owed to the host, in the order in which it is sent.
_OWE_STATE = const(1)
_OWE_ACK = const(2)
_OWE_LIMITS = const(4)
_OWE_REPLY = const(8)

_HEAD = const(10)  # bytes of BEGIN before the signed header
_CRC = const(4)
_BESIDES = const(12)  # bytes of a DATA frame on the line besides its chunk, at most
_LEAST_CHUNK = const(32)
_LEAST_ROOM = const(264)  # takes a BEGIN with the longest header whatever the chunk is
_WINDOW = const(8)  # frames: what the bits of an ACK can tell
_PART = const(240)  # bytes of a reply in one frame
_TELL = const(0x80)  # a broken frame is to be told, by this bit of an ACK
_TOLD = const(0x01)  # it was, or will be, and no good DATA came since
_IDLE = const(1000)  # ms between polls that have nothing to do

# The frame on its way out: a zero first, which ends what noise began; the content lies where the
# frame is written over it.
_TX = const(272)
_CONTENT = const(5)
_ACK_FRAME = const(10)  # bytes of an ACK on the line


class UartNode:
    """`sink`, `requests`: what they do is their own. `source`: the name of this way in. `chunk`:
    bytes, the longest taken. `backlog`: bytes that the driver receives while nobody reads.
    `silence`: ms without a frame after which a session is given up (P-41)."""

    def __init__(
        self,
        sink: "Sink",
        requests: "Messages",
        source: str,
        chunk: int = 1024,
        backlog: int = 1048,
        silence: int = 10_000,
    ) -> None:
        self._sink = sink
        self._requests = requests
        self._source = source
        self._largest = chunk
        self._backlog = backlog
        self._silence = silence
        self._slot = memoryview(bytearray(max(chunk + 1 + _CRC, _LEAST_ROOM)))
        self.deframer = Deframer(self._slot)  # its counts are the link's
        self._phase = _NONE
        self._token = 0  # of the session that phase speaks of
        self._result = b""  # FAILED: the errno; DONE: 4 bytes of the digest
        self._heard = 0  # tick of the last good frame
        # Of a session that receives:
        self._chunk = 0
        self._window = 0
        self._total = 0
        self._offset = 0  # all bytes before it are in
        self._count = 0  # frames that are in, all before the first gap
        self._bits = 0  # bit n: frame count + n is in
        self._body = self._slot  # a whole chunk, where a frame is decoded
        self._flag = 0  # of broken frames: _TELL, _TOLD
        # Out:
        self._owed = 0
        self._tx = bytearray(_TX)
        self._ack = memoryview(self._tx)[:_ACK_FRAME]
        self._out: "memoryview | None" = None  # what is left of the frame on its way
        self._request = 0  # number of the last request
        self._reply: "bytes | None" = None  # to it, kept: the host may not have got it
        self._replied = 0  # bytes of the reply that were sent

    # ---- in ------------------------------------------------------------------------------------

    def receive(self, data: "bytes | bytearray", size: int, now: int) -> None:
        """Takes the first `size` bytes of `data`. The sink writes, and requests are answered,
        inside. Nothing is allocated for DATA."""
        at = self.deframer.take(data, 0, size)
        while at:
            if self.deframer.size:
                self._heard = now
                self._frame(self.deframer.size, now)
            else:
                self._broken()
            at = self.deframer.take(data, at, size)

    def _frame(self, size: int, now: int) -> None:
        slot = self._slot
        kind = slot[0]
        if kind & 0x80:
            self._data(kind, size - 1)
        elif kind == _BEGIN and size >= _HEAD:
            self._begin(size)
        elif kind == _ABORT and size == 3:
            self._owed |= _OWE_STATE
            self._give_up()
            self._token = slot[1] | slot[2] << 8
        elif kind == _REQUEST and size >= 2:
            if self._reply is None or slot[1] != self._request:
                self._request = slot[1]
                self._reply = self._requests.message(self._slot[2:size], now)
            self._replied = 0
            self._owed |= _OWE_REPLY
        elif kind == _HELLO and size == 4:
            self._reply = None
            self._request = slot[2] | slot[3] << 8  # told back
            self._owed = self._owed & ~_OWE_REPLY | _OWE_LIMITS

    def _begin(self, size: int) -> None:
        slot = self._slot
        token = slot[2] | slot[3] << 8
        self._owed |= _OWE_STATE
        if self._phase and token == self._token:
            return  # asked again: told again
        self._give_up()
        self._token = token
        errno = self._admit(size)
        if errno:
            self._fail(errno)
        elif self._offset == self._total:
            self._end()

    def _admit(self, size: int) -> int:
        """Begins the session that a BEGIN asks for; 0, or why not, as an errno."""
        slot = self._slot
        chunk = min(slot[4] | slot[5] << 8, self._largest)
        window = min(slot[6], _WINDOW)
        total = slot[7] | slot[8] << 8 | slot[9] << 16
        if slot[1] != _VERSION:
            return ENOTSUP
        if chunk < _LEAST_CHUNK or window < 1:
            return EINVAL
        start = self._sink.begin(self._slot[_HEAD:size], total, self._source)
        if start < 0:
            return -start
        self._total = total
        self._offset = min(start, total)
        self._count = self._bits = self._flag = 0
        if self._sink.needs_order:
            chunk = min(chunk, max(_LEAST_CHUNK, self._largest // 2))
        room = max(chunk + 1 + _CRC, _LEAST_ROOM)
        window = min(window, 1 + self._backlog // (chunk + _BESIDES))
        if self._sink.needs_order:
            window = min(window, 1 + (len(slot) - room) // chunk)
        self._chunk = chunk
        self._window = window
        self._body = self._slot[1 : 1 + chunk]
        self.deframer.into = self._slot[:room]
        self._phase = _RECEIVING
        return 0

    def _data(self, kind: int, size: int) -> None:
        if self._phase != _RECEIVING:
            self._owed |= _OWE_STATE
            return
        self._owed |= _OWE_ACK
        ahead = (kind - self._count) & 0x7F
        if ahead >= self._window or self._bits >> ahead & 1:
            return  # it is in already
        if size != self._size_of(ahead):
            self._broken()
            return
        self._flag &= _TELL
        if ahead and self._sink.needs_order:
            self._keep(self._held_at(ahead), size)
        elif size == self._chunk:
            ahead = self._write(ahead, self._body)
        else:
            ahead = self._write(ahead, self._slot[1 : 1 + size])
        if ahead >= 0:
            self._place(ahead)

    def _write(self, ahead: int, data: "memoryview") -> int:
        """Hands on the frame that is so many behind the first missing one; `ahead`, or -1 where
        that ended the session."""
        result = self._sink.write(self._offset + ahead * self._chunk, data)
        if result >= 0:
            return ahead
        self._fail(-result)
        return -1

    def _place(self, ahead: int) -> None:
        """The frame is in; past it if it closes the gap, and past those that came before it."""
        self._bits |= 1 << ahead
        while self._bits & 1:
            self._bits >>= 1
            self._count += 1
            self._offset += self._chunk
            if self._offset >= self._total:
                self._offset = self._total
                self._end()
            elif self._bits & 1 and self._sink.needs_order and not self._write_held():
                return

    def _size_of(self, ahead: int) -> int:
        """Bytes of the frame that is so many behind the first missing one; below 1: none is."""
        return min(self._chunk, self._total - self._offset - ahead * self._chunk)

    def _keep(self, at: int, size: int) -> None:
        self._slot[at : at + size] = self._slot[1 : 1 + size]

    def _write_held(self) -> bool:
        """Hands on the frame at the gap, which came before the gap was closed."""
        at = self._held_at(0)
        return self._write(0, self._slot[at : at + self._size_of(0)]) == 0

    def _held_at(self, ahead: int) -> int:
        return len(self.deframer.into) + (self._count + ahead) % (self._window - 1) * self._chunk

    def _broken(self) -> None:
        """Told once: what follows is told by the next acknowledgement anyway."""
        if self._phase == _RECEIVING and not self._flag:
            self._flag = _TELL | _TOLD
            self._owed |= _OWE_ACK

    # ---- the session ---------------------------------------------------------------------------

    def poll(self, now: int) -> int:
        """Goes on with verifying, and gives up a session that fell silent. Returns ms until it
        wants to be called again."""
        if self._phase == _VERIFYING:
            result = self._sink.poll(now)
            if result > 0:
                return 0
            if result < 0:
                self._fail(-result)
            else:
                self._result = bytes(self._sink.digest[:4])
                self._phase = _DONE
            self._owed |= _OWE_STATE
        elif self._phase == _RECEIVING:
            quiet = ticks.diff(now, self._heard)
            if quiet < self._silence:
                return self._silence - quiet
            self._give_up()
        return _IDLE

    def abort(self, errno: int) -> None:
        """Ends the session, if there is one, from the node's side; the host is told `errno`."""
        if self._phase == _RECEIVING or self._phase == _VERIFYING:
            self._sink.abort()
            self._fail(errno)
            self._owed |= _OWE_STATE

    def _end(self) -> None:
        result = self._sink.end()
        if result < 0:
            self._fail(-result)
        else:
            self._phase = _VERIFYING
            self.deframer.into = self._slot

    def _fail(self, errno: int) -> None:
        self._result = bytes((errno,))
        self._phase = _FAILED
        self._owed |= _OWE_STATE
        self.deframer.into = self._slot

    def _give_up(self) -> None:
        if self._phase == _RECEIVING or self._phase == _VERIFYING:
            self._sink.abort()
        self._phase = _NONE
        self.deframer.into = self._slot

    # ---- out -----------------------------------------------------------------------------------

    def output(self) -> "memoryview | None":
        """Bytes for the line, None if there are none; the same ones until `sent` says how many
        of them went out."""
        if self._out is None and self._owed:
            self._out = self._next()
        return self._out

    def sent(self, count: int) -> None:
        """The first `count` bytes of `output` are on their way."""
        out = self._out
        if out is not None:
            self._out = None if count >= len(out) else out[count:]

    def tell(self, event: "bytes | bytearray | memoryview") -> bool:
        """Sends an event, at most 255 bytes; False: not now, as something else is on its way.
        It may be lost: events have numbers of their own."""
        if self._out is not None or self._owed:
            return False
        self._tx[_CONTENT] = _EVENT
        self._tx[_CONTENT + 1 : _CONTENT + 1 + len(event)] = event
        self._out = self._encoded(1 + len(event))
        return True

    def _next(self) -> "memoryview":
        tx = self._tx
        if self._owed & _OWE_STATE:
            self._owed &= ~_OWE_STATE
            return self._encoded(self._put_state())
        if self._owed & _OWE_ACK:
            self._owed &= ~_OWE_ACK
            tx[_CONTENT] = _ACK
            tx[_CONTENT + 1] = self._count & 0x7F | self._flag & _TELL
            tx[_CONTENT + 2] = self._bits >> 1
            self._flag &= _TOLD
            return self._encoded(3)
        if self._owed & _OWE_LIMITS:
            self._owed &= ~_OWE_LIMITS
            tx[_CONTENT] = _LIMITS
            tx[_CONTENT + 1] = _VERSION
            self._put(2, self._request, 2)
            self._put(4, self._largest, 2)
            tx[_CONTENT + 6] = min(_WINDOW, 1 + self._backlog // (self._largest + _BESIDES))
            self._put(7, self._largest // 2, 2)
            tx[_CONTENT + 9] = self._phase
            return self._encoded(10)
        return self._next_part()

    def _next_part(self) -> "memoryview":
        reply = self._reply or b""
        at = self._replied
        part = reply[at : at + _PART]
        self._replied = at + _PART
        last = 0
        if self._replied >= len(reply):
            self._owed &= ~_OWE_REPLY
            last = 0x80
        self._tx[_CONTENT] = _REPLY
        self._tx[_CONTENT + 1] = self._request
        self._tx[_CONTENT + 2] = at // _PART | last
        self._tx[_CONTENT + 3 : _CONTENT + 3 + len(part)] = part
        return self._encoded(3 + len(part))

    def _put_state(self) -> int:
        tx = self._tx
        tx[_CONTENT] = _STATE
        self._put(1, self._token, 2)
        tx[_CONTENT + 3] = self._phase
        if self._phase == _NONE or self._phase == _VERIFYING:
            return 4
        if self._phase != _RECEIVING:
            tx[_CONTENT + 4 : _CONTENT + 4 + len(self._result)] = self._result
            return 4 + len(self._result)
        self._put(4, self._chunk, 2)
        tx[_CONTENT + 6] = self._window
        self._put(7, self._offset - self._count * self._chunk, 3)
        self._put(10, self._offset, 3)
        tx[_CONTENT + 13] = self._bits >> 1
        return 14

    def _put(self, at: int, value: int, size: int) -> None:
        for n in range(_CONTENT + at, _CONTENT + at + size):
            self._tx[n] = value & 0xFF
            value >>= 8

    def _encoded(self, size: int) -> "memoryview":
        """The frame of the content; that of an ACK allocates nothing."""
        length = 1 + cobs_encode(self._tx, 1, _CONTENT, size)
        if length == _ACK_FRAME:
            return self._ack
        return memoryview(self._tx)[:length]
