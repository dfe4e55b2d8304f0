# SPDX-License-Identifier: MIT
"""Values and commands in single CAN frames: GET, SET, CALL are answered by RET; PUB tells all.

A frame is 8 bytes, little-endian: OID u16, f16 bits u16, destination (127: all), sequence number
of the asker, PID (0: any that has the OID), errno (in RET). docs/links.md has the rules.
"""

from micropython import const

from ..ticks import diff

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..contracts import Requests

_GET = const(0)
_SET = const(1)
_PUB = const(2)
_CALL = const(3)
_RET = const(4)
_ALL = const(127)

_ROOM = const(8)  # frames that wait to be sent; more are dropped, who asked asks again
_SIZE = const(9)  # bytes of each: operation, then the frame
_MEMORY = const(2000)  # ms in which a CALL asked once more is not done once more


class CanValues:
    """Answers through `requests`. What cannot be sent soon is dropped: no flood fills memory."""

    def __init__(self, requests: "Requests") -> None:
        self.op = 0  # of the frame that next_frame() gave
        self.waits = 0  # frames to send
        self._requests = requests
        self._ring = bytearray(_ROOM * _SIZE)
        self._tail = 0  # the oldest one
        # The last CALL: who asked, what (6 bytes: OID, sequence, PID), what came of it, when.
        self._caller = -1
        self._call = bytearray(4)
        self._result = (0, 0)
        self._called = 0

    def frame(
        self, op: int, sender: int, number: int, data: "memoryview | bytes", now: int
    ) -> None:
        """A frame of 8 bytes for node `number` came from `sender`."""
        oid = data[0] | data[1] << 8
        bits = data[2] | data[3] << 8
        pid = data[6]
        if op == _GET:
            errno, bits = self._requests.get(pid, oid)
            if errno and data[4] == _ALL:
                return  # who has it, answers
        elif op == _SET:
            errno = self._requests.set(pid, oid, bits)
        elif op == _CALL:
            errno, bits = self._call_once(sender, data, pid, oid, now)
        else:
            return
        # Of all nodes at once only what they have is asked.
        if number != _ALL and (data[4] != _ALL or op == _GET):
            self._put(_RET, oid, bits, sender, data[5], pid, errno)

    def _call_once(
        self, sender: int, data: "memoryview | bytes", pid: int, oid: int, now: int
    ) -> "tuple[int, int]":
        last = self._call
        if (
            sender != self._caller
            or last[0] | last[1] << 8 != oid
            or last[2] != data[5]
            or last[3] != pid
            or diff(now, self._called) >= _MEMORY
        ):
            self._caller = sender
            last[0] = data[0]
            last[1] = data[1]
            last[2] = data[5]
            last[3] = pid
            self._called = now
            self._result = self._requests.call(pid, oid)
        return self._result

    def publish(self, pid: int, oid: int, bits: int) -> bool:
        """Tells all stations. False: too many frames wait already."""
        return self._put(_PUB, oid, bits, _ALL, 0, pid, 0)

    def _put(
        self, op: int, oid: int, bits: int, dest: int, sequence: int, pid: int, errno: int
    ) -> bool:
        if self.waits == _ROOM:
            return False
        at = (self._tail + self.waits) % _ROOM * _SIZE
        ring = self._ring
        ring[at] = op
        ring[at + 1] = oid & 0xFF
        ring[at + 2] = oid >> 8
        ring[at + 3] = bits & 0xFF
        ring[at + 4] = bits >> 8
        ring[at + 5] = dest
        ring[at + 6] = sequence
        ring[at + 7] = pid
        ring[at + 8] = errno
        self.waits += 1
        return True

    def next_frame(self, buf: bytearray) -> bool:
        """Puts the oldest frame into `buf` (8 bytes), its operation into `op`."""
        if not self.waits:
            return False
        at = self._tail * _SIZE
        self.op = self._ring[at]
        for n in range(8):
            buf[n] = self._ring[at + 1 + n]
        self._tail = (self._tail + 1) % _ROOM
        self.waits -= 1
        return True
