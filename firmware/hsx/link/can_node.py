# SPDX-License-Identifier: MIT
"""A node on a CAN bus: the session of a bulk transfer, and the way to values and messages.

docs/links.md has the frames and the rules. Frames and `now` in, frames out; a driver is none of
its business.
"""

from micropython import const

from ..errors import EBADMSG, ENOSPC
from ..native import place
from ..ticks import diff
from .receiver import Receiver

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..contracts import Requests, Sink
    from .can_messages import CanMessages
    from .can_values import CanValues

UNNUMBERED = const(127)

_LOAD = const(0x280)  # identifiers without the base
_DATA = const(0x300)
_BLOCK = const(0x380)

_BEGIN = const(1)  # types of LOAD frames
_POLL = const(2)
_NACK = const(4)
_ABORT = const(5)
_END = const(2)  # action of a POLL

_NONE = const(0)  # states: what STATUS says, but for WAITING
_READY = const(1)
_RECEIVING = const(2)
_VERIFYING = const(3)
_DONE = const(4)
_BUSY = const(5)
_FAIL = const(6)
_WAITING = const(7)  # for the signed header

_SILENCE = const(3000)  # ms without a frame of the session
_NO_HEADER = const(0xFFFF)


class CanNode(Receiver):
    """The engine of node `number` (127: it never transmits). `sink` takes transfers; `requests`
    answers for values and messages, None: nothing but transfers. `unique_id`: by which a node is
    given a number. `source`: the name of this way in, with the number in the place of its %d.
    `base`: 0x400 or 0. `pace`: DATA frames per second that it can take, 0: all; told in READY.

    Whoever drives it hands in received frames, then calls `poll()`, then fetches frames to send.
    """

    def __init__(
        self,
        sink: "Sink",
        number: int = UNNUMBERED,
        requests: "Requests | None" = None,
        unique_id: bytes = b"",
        source: str = "CAN:%d:0",
        base: int = 0x400,
        max_blocks: int = 512,
    ) -> None:
        super().__init__(sink, max_blocks)
        self.number = number
        self.foreign = 0  # frames outside our identifiers, or of no known form; wraps
        self.buf_len = 0  # bytes of the frame that next_frame() gave
        self._base = base
        self._source = source
        self.pace = 0
        self._now = 0
        self._state = _NONE
        self._errno = 0
        self._session = -1
        self._slot_ms = 0  # slot code
        self._last = 0  # tick of the last frame of the session
        self._status = -1  # state to tell | its tag << 8, -1: nothing
        self._values: "CanValues | None" = None
        self._messages: "CanMessages | None" = None
        if requests:
            from .can_messages import CanMessages
            from .can_values import CanValues

            self._values = CanValues(requests)
            self._messages = CanMessages(requests, unique_id)

    def frame(self, ident: int, data: "memoryview | bytes", now: int) -> None:
        """A frame with an 11-bit identifier came in.

        With 11 words or less of locals and stack it takes no heap on any MicroPython."""
        key = ident ^ self._base
        if key == self._next and len(data) == 8:
            self._next = key + 1
            place(self._buf, self._to + (key << 3), data)
            if key + 1 == self._end:
                self._close(now)
        elif key >= _DATA and key < _BLOCK and len(data) == 8:
            self._stray(key, data, now)
        elif key == _BLOCK and len(data) == 8:
            if self._session >= 0 and data[7] == self._session & 0xFF:
                self._last = now
                self._block(data, now)
            else:  # what follows is not ours
                self._settle(-1, now)
                self._ignore(data[6] >> 1 & 0x40)
        elif key & 0x380 == _LOAD and key < _DATA and len(data) >= 4:
            self._control(key & 0x7F, data, now)
        elif key < _LOAD and len(data) == 8 and key & 0x7F != UNNUMBERED:
            self._value(key, data, now)
        else:
            self.foreign = self.foreign + 1 & 0xFFFF

    def poll(self, now: int) -> int:
        """Timers. Milliseconds until it wants to be called again, if no frame comes before; 0:
        there are frames to fetch."""
        self._now = now
        if self._messages:
            self._messages.poll(now)
        if self._state == _VERIFYING:
            left = self._sink.poll(now)
            if left == 1:
                return 0 if self._is_sending() else 1
            if left < 0:
                self._fail(-left)
            else:
                self._state = _DONE
            self._status = self._state | (self._session & 0xFF) << 8
        elif self._session >= 0 and diff(now, self._last) >= _SILENCE:
            self._leave(_NONE)
        if self._is_sending():
            return 0
        wait = self._wait(now)
        if self._session >= 0:
            left = _SILENCE - diff(now, self._last)
            wait = min(wait, max(1, left))
        return wait

    def next_frame(self, buf: bytearray) -> int:
        """Puts a frame to send into `buf` (8 bytes), its length into `buf_len`, and returns its
        identifier; -1: there is none."""
        number = self.number
        if number == UNNUMBERED:  # the one gate (rule 11)
            return -1
        self.buf_len = 8
        if self._asks and self._nack(buf, self._now):
            buf[0] = 0
            return self._base | _LOAD | number
        if self._status >= 0:
            self._write_status(buf)
            return self._base | _LOAD | number
        if self._values and self._values.next_frame(buf):
            return self._base | self._values.op << 7 | number
        if self._messages and self._messages.next_frame(buf):
            self.buf_len = self._messages.buf_len
            return self._base | _LOAD | number
        return -1

    def publish(self, pid: int, oid: int, bits: int) -> bool:
        """Tells all stations of a value. False: too many frames wait already."""
        return self._values is not None and self._values.publish(pid, oid, bits)

    def tell(self, data: bytes) -> bool:
        """Sends the master a message that it did not ask for. False: one is still going out."""
        return self._messages is not None and self._messages.tell(data)

    def is_busy(self) -> bool:
        """Whether a session is under way."""
        return self._session >= 0 and self._state not in (_DONE, _FAIL)

    def abort(self, errno: int) -> None:
        """Ends the session from this side: the master is told `errno` when it next asks."""
        if self._session >= 0:
            self._fail(errno)

    # ---- of the receiver ----

    def _begin(self, header: memoryview, now: int) -> None:
        place = self._sink.begin(header, self._total, self._source % self.number)
        if place < 0:
            self._fail(-place)
            return
        self._start(self._total, 0, self._sink.needs_order)
        self._state = _RECEIVING
        self._resume(place)

    def _fail(self, errno: int) -> None:
        self._leave(_FAIL)
        self._errno = errno

    def _slot_delay(self, block: int) -> int:
        return ((37 * self.number + 11 * block) & 63) * self._slot_ms >> 6

    # ---- control ----

    def _is_sending(self) -> bool:
        return self.number != UNNUMBERED and (
            self._status >= 0
            or (self._values is not None and self._values.waits > 0)
            or (self._messages is not None and self._messages.is_sending)
        )

    def _value(self, key: int, data: "memoryview | bytes", now: int) -> None:
        values = self._values
        if values and (data[4] == self.number or data[4] == 127):
            values.frame(key >> 7, key & 0x7F, self.number, data, now)

    def _control(self, sender: int, data: "memoryview | bytes", now: int) -> None:
        kind = data[1] & 0x0F
        if kind > _ABORT:
            if self._messages and sender == 0:
                number = self._messages.frame(data, self.number, now)
                if number:
                    self.number = number
        elif sender:
            if kind == _NACK and len(data) == 8:
                self._heard(data, now)
        elif kind == _BEGIN and len(data) == 8:
            self._on_begin(data, now)
        elif kind == _POLL and len(data) == 8:
            self._on_poll(data, now)
        elif kind == _ABORT and (data[0] == self.number or data[0] == 127):
            if data[2] | data[3] << 8 == self._session or self._state >= _DONE:
                self._leave(_NONE)
        else:
            self.foreign = self.foreign + 1 & 0xFFFF

    def _on_begin(self, data: "memoryview | bytes", now: int) -> None:
        session = data[2] | data[3] << 8
        if session == self._session:
            self._last = now
            return
        # A session that is under way ends by its ABORT or in silence; nobody can ask for blocks
        # who never sends.
        if self.is_busy() or self.number == UNNUMBERED:
            return
        total = data[4] | data[5] << 8 | data[6] << 16
        self._leave(_WAITING)
        self._session = session
        self._last = now
        code = data[7] >> 5
        self._slot_ms = 1 << code - 1 if code else 0
        if total > len(self._done) << 12:
            self._fail(ENOSPC)
        elif not data[7] & 0x1F:
            self._fail(EBADMSG)
        else:
            self._start(total, data[7] & 0x1F, False)

    def _on_poll(self, data: "memoryview | bytes", now: int) -> None:
        number = self.number
        if data[3] != number >> 5 or not data[4 + (number >> 3 & 3)] >> (number & 7) & 1:
            if self._session >= 0 and data[2] == self._session & 0xFF:
                self._last = now
            return
        tag = data[2] << 8
        if self._session < 0 or data[2] != self._session & 0xFF:
            self._status = tag | (_BUSY if self.is_busy() else _NONE)
            return
        self._last = now
        action = data[1] >> 4
        if action == _END and (self._state == _RECEIVING or self._state == _WAITING):
            self._ask_rest(now)
            if self._state == _RECEIVING and self._todo == 0:
                self._state = _VERIFYING
                errno = self._sink.end()
                if errno < 0:
                    self._fail(-errno)
        is_ready = action == 0 and self._state == _RECEIVING
        self._status = tag | (_READY if is_ready else self._state)

    def _leave(self, state: int) -> None:
        """The session is over, or another begins."""
        if self._state == _RECEIVING or self._state == _VERIFYING:
            self._sink.abort()
        self._state = state
        self._errno = 0
        if state == _NONE:
            self._session = -1
        self._start(0, 0, False)

    def _write_status(self, buf: bytearray) -> None:
        state = self._status & 0xFF
        buf[0] = 0
        buf[2] = self._status >> 8
        self._status = -1
        buf[3] = 0
        first = self._need
        missing = self._todo
        if state == _DONE:
            buf[4:8] = self._sink.digest[:4]
        elif state == _FAIL:
            buf[3] = self._errno
        elif state == _READY:
            pace = max(1, min(0x7F, self.pace >> 6)) if self.pace else 0
            buf[3] = pace | (0x80 if self._ordered else 0)
        elif state == _WAITING:
            state = _RECEIVING
            missing = _NO_HEADER
        buf[1] = 3 | state << 4
        if state != _DONE:
            buf[4] = first & 0xFF
            buf[5] = first >> 8
            buf[6] = missing & 0xFF
            buf[7] = missing >> 8
