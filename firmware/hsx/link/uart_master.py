# SPDX-License-Identifier: MIT
"""The host's end of a UART link: sends a transfer, asks, hears events. Not frozen.

Sans-I/O: bytes of the line go in by `receive`, time by `poll`; `output` gives the next frame when
the line can take one. Frames and rules stand in docs/links.md.

A line keeps its order. So whatever was sent before a frame that the node has, and is not there
itself, is lost; and when nothing is heard for a while, one BEGIN asks for everything: where the
node stands, or, after a reset, where to go on.
"""

from micropython import const

from .. import ticks
from ..errors import EBADMSG, ETIMEDOUT
from ..native import cobs_encode
from .uart_framing import Deframer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_VERSION = const(1)

_HELLO = const(0x01)
_BEGIN = const(0x02)
_ABORT = const(0x03)
_REQUEST = const(0x04)
_LIMITS = const(0x41)
_STATE = const(0x42)
_ACK = const(0x43)
_REPLY = const(0x44)
_EVENT = const(0x45)
_DATA = const(0x80)

_NONE = const(0)
_RECEIVING = const(1)
_VERIFYING = const(2)
_DONE = const(3)
_FAILED = const(4)

_ROOM = const(2048)  # bytes of the longest frame of a node, and more
_RESTARTS = const(32)  # of a node in one transfer; more: it does not live
_DOUBLED = const(5)  # times that the patience doubles
_ABORTS = const(2)  # times that ABORT is repeated
_EVENTS = const(1024)  # that nobody fetched; older ones are dropped

# What the transfer does.
IDLE = const(0)  # nothing, or it is over
OPENING = const(1)  # BEGIN asks where the node stands
SENDING = const(2)
ABORTING = const(3)


class Question:
    """One message and what came of it. `reply`: None until it is there. `errno`: 0, or ETIMEDOUT
    where no reply came. `frame` goes out again until then."""

    def __init__(self, kind: int, number: int, rest: bytes) -> None:
        self.kind = kind  # of the frame that answers
        self.number = number
        self.frame = _frame(rest, True)
        self.reply: "bytes | None" = None
        self.errno = 0
        self.due = True  # the frame is to be sent
        self.tries = 0
        self.deadline = 0
        self.parts: "dict[int, bytes]" = {}
        self.last = -1  # number of the last part, once known

    def over(self) -> bool:
        """Whether nothing more will come."""
        return self.reply is not None or self.errno != 0


class UartMaster:
    """`random`: a number of 16 bits for each session. `chunk` (bytes), `window` (frames): asked
    for, the node may grant less. `rate`: bytes a second of the line, 0: unknown or no limit.
    `patience`: ms without an answer before it is asked for, `retries` times; doubled each time, up
    to 32 times that. `verify`: ms that a node may verify."""

    def __init__(
        self,
        random: "Callable[[], int]",
        chunk: int = 1024,
        window: int = 8,
        rate: int = 0,
        patience: int = 250,
        retries: int = 8,
        verify: int = 120_000,
    ) -> None:
        self._random = random
        self._wish = (chunk, window)
        self._rate = rate
        self._patience = patience
        self._retries = retries
        self._verify = verify
        self.deframer = Deframer(memoryview(bytearray(_ROOM)))
        self._free = 0  # tick when the line has sent all that was given to it
        # The transfer:
        self.phase = IDLE
        self.outcome = ""  # done, failed or aborted, once it is over
        self.errno = 0  # failed: why
        self.digest = b""  # done: the first 4 bytes of that of what was read back
        self.placed = 0  # bytes that the node has, from the start
        self.total = 0  # bytes
        self.chunk = 0  # as granted
        self.window = 0
        self.repeats = 0  # frames that were sent again
        self.restarts = 0  # times that the node had forgotten the session
        self._data = b""
        self._begin = b""  # the frame
        self._token = 0
        self._due = False  # BEGIN or ABORT is to be sent
        self._tries = 0
        self._deadline = 0
        self._best = -1  # placed at most: progress is what goes beyond
        self._since = -1  # tick when all was in, -1: not yet
        self._start = 0
        self._base = 0  # frames that are in, all before the first gap
        self._fresh = 0  # frames that were sent at least once
        self._have: "set[int]" = set()  # frames that are in behind a gap
        self._lost: "set[int]" = set()  # to be sent again
        self._stamp: "dict[int, int]" = {}  # frame -> when it was sent last, in frames
        self._clock = 0  # frames sent so far
        # Questions and events:
        self.question: "Question | None" = None
        self._number = 0
        self.limits: "dict[str, int] | None" = None  # of the node, once HELLO was answered
        self.events: "list[bytes]" = []

    # ---- what a host asks for ------------------------------------------------------------------

    def hello(self) -> Question:
        """Asks who is there; `limits` has the answer. The first thing that a host says: the node
        forgets what was asked before."""
        token = self._random() & 0xFFFF
        self.question = Question(
            _LIMITS, token, bytes((_HELLO, _VERSION, token & 0xFF, token >> 8))
        )
        return self.question

    def request(self, message: bytes) -> Question:
        """Sends a message, one at a time, during a transfer too; the node acts once."""
        self._number = (self._number + 1) & 0xFF
        self.question = Question(_REPLY, self._number, bytes((_REQUEST, self._number)) + message)
        return self.question

    def begin(self, header: bytes, data: bytes) -> None:
        """Starts a transfer of `data`, less than 16 MiB, with its signed header, at most 248
        bytes."""
        token = self._random() & 0xFFFF
        chunk, window = self._wish
        self._token = token
        self._data = data
        self.total = len(data)
        head = bytes(
            (_BEGIN, _VERSION, token & 0xFF, token >> 8, chunk & 0xFF, chunk >> 8, window)
        )
        self._begin = _frame(head + len(data).to_bytes(3, "little") + header, True)
        self.outcome = ""
        self.errno = self.placed = self.repeats = self.restarts = self._tries = self.chunk = 0
        self._best = self._since = -1
        self._open()

    def abort(self) -> None:
        """Ends the transfer from the host's side; over when the node says so, or stays silent."""
        if self.phase != IDLE:
            self.phase = ABORTING
            self._tries = 0
            self._due = True

    # ---- in ------------------------------------------------------------------------------------

    def receive(self, data: bytes, now: int) -> None:
        """Takes bytes of the line, any number."""
        deframer = self.deframer
        at = deframer.take(data, 0, len(data))
        while at:
            if deframer.size:
                self._frame(bytes(deframer.into[: deframer.size]), now)
            at = deframer.take(data, at, len(data))

    def _frame(self, frame: bytes, now: int) -> None:
        kind = frame[0]
        if kind == _ACK and len(frame) == 3 and self.phase == SENDING:
            self._acked(frame[1], frame[2], now)
        elif kind == _STATE and len(frame) >= 4:
            self._state(frame, now)
        elif kind == _EVENT:
            self.events.append(frame[1:])
            del self.events[:-_EVENTS]
        elif kind == _REPLY and len(frame) >= 3:
            self._replied(frame)
        elif kind == _LIMITS and len(frame) == 10:
            self._limits(frame)

    def _state(self, frame: bytes, now: int) -> None:
        phase = frame[3]
        ours = frame[1] | frame[2] << 8 == self._token
        if self.phase == IDLE:
            return
        if self.phase == ABORTING:
            if ours and phase in (_NONE, _DONE, _FAILED):
                self._over("aborted")
        elif phase == _NONE:
            if self.phase == SENDING:
                self._forgotten()
        elif not ours:
            return
        elif phase == _FAILED and len(frame) == 5:
            self._over("failed", frame[4])
        elif phase == _DONE and len(frame) == 8:
            self.placed = self.total
            self.digest = frame[4:]
            self._over("done")
        elif phase == _VERIFYING:
            self._all_in(now)
        elif phase == _RECEIVING and self.phase == OPENING and len(frame) == 14:
            self._granted(frame, now)

    def _forgotten(self) -> None:
        """The node knows nothing of the session: it was reset, or has given it up."""
        self.restarts += 1
        if self.restarts > _RESTARTS:
            self._over("failed", ETIMEDOUT)
        else:
            self._open()

    def _granted(self, frame: bytes, now: int) -> None:
        """What the node has is in, all else goes out, whatever was sent before."""
        self.chunk = frame[4] | frame[5] << 8
        self.window = frame[6]
        self._start = int.from_bytes(frame[7:10], "little")
        placed = int.from_bytes(frame[10:13], "little")
        if not (self.chunk and self.window and self._start <= placed <= self.total):
            self._over("failed", EBADMSG)
            return
        if placed < self._best:
            self._best = placed  # the node was reset, and goes on from there
            self.restarts += 1
            if self.restarts > _RESTARTS:
                self._over("failed", ETIMEDOUT)
                return
        self._since = -1
        self._base = self._fresh = (placed - self._start + self.chunk - 1) // self.chunk
        self._have = _indices(self._base, frame[13])
        self._lost = set()
        self._stamp = {}
        self.phase = SENDING
        self._progress(now)
        if self.placed == self.total:
            self._all_in(now)

    def _acked(self, number: int, bits: int, now: int) -> None:
        moved = (number - self._base) & 0x7F
        if moved > self.window:
            return  # none that this session gave cause for
        base = self._base + moved
        have = _indices(base, bits)
        known = [n for n in have | set(range(self._base, base)) if n in self._stamp]
        newest = max([self._stamp[n] for n in known], default=-1)
        self._base = base
        self._fresh = max(self._fresh, base)
        self._have = have
        waiting = [n for n in range(base, self._fresh) if n not in have and n not in self._lost]
        waiting.sort(key=self._sent_at)
        lost = [n for n in waiting if self._sent_at(n) < newest]
        if number & 0x80 and not lost and waiting:
            lost = waiting[:1]  # a frame came in pieces: the oldest under way
        self._lost.update(lost)
        self._lost = {n for n in self._lost if n >= base and n not in have}
        self._progress(now)
        if self.placed == self.total:
            self._all_in(now)

    def _progress(self, now: int) -> None:
        self.placed = min(self._start + self._base * self.chunk, self.total)
        if self.placed > self._best:
            self._best = self.placed
            self._tries = 0
        self._wait(now)

    def _all_in(self, now: int) -> None:
        """Only the end of verifying is waited for."""
        self.placed = self.total
        self.phase = SENDING
        self._fresh = self._base = self._count()
        self._lost = set()
        self._tries = 0
        if self._since < 0:
            self._since = now
        if ticks.diff(now, self._since) > self._verify:
            self._over("failed", ETIMEDOUT)
        else:
            self._wait(now)

    def _limits(self, frame: bytes) -> None:
        question = self.question
        if question is None or question.kind != _LIMITS or question.over():
            return
        if frame[2] | frame[3] << 8 == question.number:
            self.limits = {
                "version": frame[1],
                "chunk": frame[4] | frame[5] << 8,
                "window": frame[6],
                "message": frame[7] | frame[8] << 8,
                "phase": frame[9],
            }
            question.reply = frame

    def _replied(self, frame: bytes) -> None:
        question = self.question
        if question is None or question.kind != _REPLY or question.over():
            return
        if frame[1] != question.number:
            return
        part = frame[2] & 0x7F
        question.parts[part] = frame[3:]
        if frame[2] & 0x80:
            question.last = part
        if question.last >= 0 and len(question.parts) == question.last + 1:
            question.reply = b"".join([question.parts[n] for n in range(question.last + 1)])

    # ---- time ----------------------------------------------------------------------------------

    def poll(self, now: int) -> int:
        """Asks again for answers that are late. Returns ms until it wants to be called again."""
        wait = 1000
        if self.phase != IDLE and not self._due:
            if ticks.reached(now, self._deadline):
                self._late(now)
            wait = min(wait, max(0, ticks.diff(self._deadline, now)))
        question = self.question
        if question is not None and not question.over() and not question.due:
            if ticks.reached(now, question.deadline):
                question.tries += 1
                if question.tries > self._retries:
                    question.errno = ETIMEDOUT
                else:
                    question.due = True
            wait = min(wait, max(0, ticks.diff(question.deadline, now)))
        return wait

    def _late(self, now: int) -> None:
        self._tries += 1
        if self._tries <= (_ABORTS if self.phase == ABORTING else self._retries):
            if self.phase == SENDING:
                self.phase = OPENING
            self._due = True
        elif self.phase == ABORTING:
            self._over("aborted")
        else:
            self._over("failed", ETIMEDOUT)

    def _wait(self, now: int) -> None:
        """From now on, or from when the line is free, an answer is waited for."""
        begin = self._free if ticks.diff(self._free, now) > 0 else now
        self._deadline = ticks.add(begin, self._patience << min(self._tries, _DOUBLED))

    def _open(self) -> None:
        self.phase = OPENING
        self._due = True

    def _over(self, outcome: str, errno: int = 0) -> None:
        self.outcome = outcome
        self.errno = errno
        self.phase = IDLE
        self._due = False

    # ---- out -----------------------------------------------------------------------------------

    def output(self, now: int) -> bytes:
        """The next frame, to be asked for when the line can take one; b"": there is none."""
        frame = self._next_frame()
        if frame:
            if self._rate:
                begin = self._free if ticks.diff(self._free, now) > 0 else now
                self._free = ticks.add(begin, (len(frame) * 1000 + self._rate - 1) // self._rate)
            question = self.question
            if question is not None and frame is question.frame:
                begin = self._free if ticks.diff(self._free, now) > 0 else now
                question.deadline = ticks.add(
                    begin, self._patience << min(question.tries, _DOUBLED)
                )
            else:
                self._wait(now)
        return frame

    def _next_frame(self) -> bytes:
        if self._due:
            self._due = False
            if self.phase == ABORTING:
                token = self._token
                return _frame(bytes((_ABORT, token & 0xFF, token >> 8)), True)
            return self._begin
        question = self.question
        if question is not None and question.due and not question.over():
            question.due = False
            return question.frame
        if self.phase != SENDING:
            return b""
        if self._lost:
            index = min(self._lost)
            self._lost.discard(index)
            self.repeats += 1
            return self._chunk_frame(index)
        while self._fresh in self._have:
            self._fresh += 1  # sent before this session knew of it
        if self._fresh < min(self._base + self.window, self._count()):
            self._fresh += 1
            return self._chunk_frame(self._fresh - 1)
        return b""

    def _sent_at(self, index: int) -> int:
        return self._stamp.get(index, 0)

    def _count(self) -> int:
        """Frames of the transfer."""
        return (self.total - self._start + self.chunk - 1) // self.chunk if self.chunk else 0

    def _chunk_frame(self, index: int) -> bytes:
        self._clock += 1
        self._stamp[index] = self._clock
        at = self._start + index * self.chunk
        return _frame(bytes((_DATA | index & 0x7F,)) + self._data[at : at + self.chunk], False)


def _indices(base: int, bits: int) -> "set[int]":
    """Frames behind the gap at `base` that are in."""
    return {base + 1 + n for n in range(8) if bits >> n & 1}


def _frame(content: bytes, alone: bool) -> bytes:
    """The bytes for the line. `alone`: with a zero before it, as noise may lie on the line."""
    at = 3 + (len(content) + 4) // 254
    buf = bytearray(at + len(content) + 4)
    buf[at:-4] = content
    size = cobs_encode(buf, 1, at, len(content))
    return bytes(buf[: 1 + size] if alone else buf[1 : 1 + size])
