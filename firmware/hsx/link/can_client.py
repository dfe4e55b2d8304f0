# SPDX-License-Identifier: MIT
"""The host's end of values and messages over CAN: one question to one node at a time.

Frames and `now` (a tick) in, frames out, as in `can_master`. A question that is not answered is
asked again under the same sequence number, so that the node does not do it twice.
"""

import struct
from collections import deque

from .. import errors
from ..errors import HsxError
from ..ticks import add, reached
from . import can_framing as can

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_TRIES = 4


def fragments(dest: int, sequence: int, data: bytes) -> "Iterator[bytes]":
    """The LOAD frames of a message, 1 to 512 bytes."""
    yield struct.pack("<BBBH", dest, can.FIRST, sequence, len(data)) + data[:3]
    for order, at in enumerate(range(3, len(data), 5)):
        yield bytes([dest, can.NEXT | (order & 15) << 4, sequence]) + data[at : at + 5]


class Assembly:
    """Puts the fragments of one sender together."""

    def __init__(self) -> None:
        self.sequence = -1
        self._size = 0
        self._data = bytearray()
        self._order = 0

    def take(self, data: "bytes | memoryview") -> "bytes | None":
        """The message, when this FIRST or NEXT makes it whole."""
        if data[1] & 0x0F == can.FIRST and len(data) > 5:
            self.sequence = data[2]
            self._size = data[3] | data[4] << 8
            self._data = bytearray(data[5:])
            self._order = 0
        elif data[2] == self.sequence and data[1] >> 4 == self._order & 15:
            self._data += data[3:]
            self._order += 1
        else:
            return None
        if len(self._data) != self._size:
            return None
        self.sequence = -1
        return bytes(self._data)


class CanClient:
    """Asks nodes. `sequence`: where numbers begin, best another one than the last client's.
    `patience`: ms for an answer before the question is asked again.

    `answer` is what came back: of `message()` bytes, of `get()`, `set()`, `call()` the bits, of
    `who()` nothing: see `present`. `error`: an errno instead. `told`: messages that nodes sent of
    their own, `published`: (node, PID, OID, bits); whoever reads them takes them away.
    """

    def __init__(self, sequence: int = 0, base: int = 0x400, patience: int = 250) -> None:
        self.answer: "bytes | int | None" = None
        self.error = 0
        self.busy = False
        self.buf_len = 0  # bytes of the frame that next_frame() gave
        self.told: "deque[tuple[int, bytes]]" = deque(maxlen=256)
        self.published: "deque[tuple[int, int, int, int]]" = deque(maxlen=256)
        self.present: "dict[int, bytes]" = {}  # node -> its short id, as WHO showed
        self._base = base
        self._patience = patience
        self._sequence = sequence & 0x7F
        self._node = 0
        self._question: "list[tuple[int, bytes]]" = []  # identifiers and bytes, to ask again
        self._queue: "deque[tuple[int, bytes]]" = deque()
        self._tries = 0
        self._due = 0
        self._parts: "dict[int, Assembly]" = {}

    # ---- questions ----

    def message(self, node: int, data: bytes, now: int) -> None:
        """Sends a request of 1 to 512 bytes. To all (127) it is said once, and not answered."""
        if not 0 < len(data) <= 512:
            raise HsxError(errors.EINVAL, "begin", "message is too long")
        self._begin(node)
        ident = can.ident(can.LOAD, can.MASTER, self._base)
        self._ask([(ident, part) for part in fragments(node, self._sequence, data)], now)

    def get(self, node: int, oid: int, now: int, pid: int = 0) -> None:
        """Asks for a value. Of all nodes (127) the first one that has it counts."""
        self._value(can.GET, node, oid, 0, pid, now)

    def set(self, node: int, oid: int, bits: int, now: int, pid: int = 0) -> None:
        """Sets a value to `bits`; at all nodes without an answer."""
        self._value(can.SET, node, oid, bits, pid, now)

    def call(self, node: int, oid: int, now: int, pid: int = 0) -> None:
        """Calls a command; at all nodes without an answer."""
        self._value(can.CALL, node, oid, 0, pid, now)

    def who(self) -> None:
        """Asks who is there; `present` fills."""
        self._put(bytes([can.ALL, can.WHO, 0, 0]))

    def number(self, short_id: bytes, number: int) -> None:
        """Numbers the node that `short_id` names, if it has no number; it shows in `present`."""
        self._put(bytes([number, can.NUMBER]) + short_id)

    def _put(self, data: bytes) -> None:
        self._queue.append((can.ident(can.LOAD, can.MASTER, self._base), data))

    def _value(self, op: int, node: int, oid: int, bits: int, pid: int, now: int) -> None:
        self._begin(node)
        data = struct.pack("<HHBBBB", oid, bits, node, self._sequence, pid, 0)
        self._ask([(can.ident(op, can.MASTER, self._base), data)], now)
        self.busy = node != can.ALL or op == can.GET

    def _begin(self, node: int) -> None:
        if self.busy:
            raise HsxError(errors.EBUSY, "begin", "another question is open")
        self._node = node
        self._sequence = (self._sequence + 1) & 0x7F
        self.answer, self.error = None, 0

    def _ask(self, frames: "list[tuple[int, bytes]]", now: int) -> None:
        self.busy = self._node != can.ALL
        self._question = frames
        self._tries = 1
        self._queue.extend(frames)
        self._due = add(now, self._patience + len(frames))

    # ---- driven from outside ----

    def frame(self, ident: int, data: "bytes | memoryview", now: int) -> None:
        """A frame of another station came in."""
        if (ident ^ self._base) & ~0x3FF:
            return
        op, sender = ident >> 7 & 7, ident & 0x7F
        if op in (can.RET, can.PUB) and len(data) == 8:
            oid, bits, dest, sequence, pid, errno = struct.unpack("<HHBBBB", data)
            if op == can.PUB:
                self.published.append((sender, pid, oid, bits))
            elif dest == can.MASTER and sequence == self._sequence and self._is_asked(sender):
                self._settle(bits, errno)
        elif op == can.LOAD and sender and len(data) > 3 and data[0] == can.MASTER:
            kind = data[1] & 0x0F
            if kind == can.WHO and len(data) == 8:
                self.present[sender] = bytes(data[2:])
            elif kind in (can.FIRST, can.NEXT):
                parts = self._parts.setdefault(sender, Assembly())
                whole = parts.take(data)
                if whole is not None and data[2] & 0x80:
                    self.told.append((sender, whole))
                elif whole is not None and data[2] == self._sequence and self._is_asked(sender):
                    self._settle(whole, 0)

    def poll(self, now: int) -> int:
        """Timers. Milliseconds until it wants to be called again, if no frame comes before."""
        if self.busy and reached(now, self._due):
            if self._tries >= _TRIES:
                self._settle(None, errors.ETIMEDOUT)
            else:
                self._tries += 1
                self._queue.extend(self._question)
                self._due = add(now, self._patience + len(self._question))
        return 0 if self._queue else 10

    def next_frame(self, buf: bytearray) -> int:
        """Puts a frame into `buf` (8 bytes), its length into `buf_len`, and returns its
        identifier; -1: there is none."""
        if not self._queue:
            return -1
        ident, data = self._queue.popleft()
        self.buf_len = len(data)
        buf[: len(data)] = data
        return ident

    def _is_asked(self, node: int) -> bool:
        return self.busy and self._node in (node, can.ALL)

    def _settle(self, answer: "bytes | int | None", errno: int) -> None:
        self.answer, self.error = answer, errno
        self.busy = False
        self._queue.clear()
