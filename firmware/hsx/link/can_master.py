# SPDX-License-Identifier: MIT
"""The host's end of a bulk transfer over CAN: one stream to any set of nodes.

docs/links.md has the frames and the rules. Frames and `now` (a tick, see hsx.ticks) in, frames
out. Whoever drives it fetches frames while `room()` says so, hands received ones in, reports with
`sent()` each own frame that has left the controller, and calls `poll()`.
"""

import binascii
from collections import deque

from .. import errors
from ..ticks import add, diff, reached
from . import can_framing as can
from .can_framing import BLOCK_SIZE, EVERYTHING, FRAMES, HEADER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

QUEUE = 16  # frames in the controller at most

_LISTEN, _JOIN, _STREAM = range(3)  # phases
_CODES = ((1, 0), (5, 1), (10, 2), (20, 3), (126, 4))  # up to so many nodes: slot code
_JOIN_TRIES = 4  # then the transfer starts without that node
_TRIES = 7
_LONGEST = 5  # time-outs double up to this power of two
_VERIFYING = 50  # ms to the first poll of a node that verifies, or 40 for each node of the fleet
_VERIFYING_EACH = 40
_VERIFYING_MOST = 2000
_EVERY = 1000  # ms between BEGINs, and between JOINs of nodes that do not answer
_STUCK = 5000  # ms in which no frame leaves the controller
_IDLE_ENDS = 20  # without progress
_NEVER = 1 << 27  # ms
_BITS = 135  # of a frame of 8 bytes, at most
_BURST = 4  # frames at once, where a node's pace is kept: more might not fit its ring


class Peer:
    """What the master knows of a node."""

    def __init__(self, number: int, now: int) -> None:
        self.number = number
        self.error: "int | None" = None  # 0: done; None: not through
        self.reason = errors.ETIMEDOUT  # if it never gets through
        self.joined = False
        self.first = 0  # first missing block
        self.missing = -1  # blocks, as last told
        self.due = now  # when to name it again
        self.waiting = False  # for an answer
        self.ending = False  # was named by END
        self.tries = 0  # polls without an answer
        self.idle = 0  # answers without progress
        self.asked = 0  # frames
        self.pause = 0  # ms to the next poll while it verifies


class CanMaster:
    """Sends `stream` behind the signed `header` (64 to 248 bytes, a multiple of 8) to `nodes`.

    `digest`: what nodes must have read back, its first four bytes count. `session`: 16 bits,
    another one than the last. `chance`: a random number from 0 to 1. `bitrate`, `share`: at most
    that part of the bus's time is taken, each frame counted with the most bits that it may have.
    `plan`: the blocks to send unasked, None: all from the first that a node misses.
    `by_identifier`: the controller does not keep the order of frames (rule 9). `patience`: ms
    until a named node that says nothing is named again, the first time (rule 8): more where frames
    wait on their way, as behind an adapter on a serial line.

    `results`: errno of each node that is through, 0: done. `over`: all are. `error`: why nothing
    was begun (EBUSY) or it was given up.
    """

    def __init__(
        self,
        stream: bytes,
        header: bytes,
        nodes: "Iterable[int]",
        digest: bytes,
        session: int,
        chance: float,
        now: int,
        bitrate: int = 500_000,
        share: float = 1.0,
        plan: "Collection[int] | None" = None,
        by_identifier: bool = False,
        base: int = 0x400,
        patience: int = 8,
    ) -> None:
        self.peers = {number: Peer(number, now) for number in nodes}
        if len(header) % 8 or not 64 <= len(header) <= 248:
            raise errors.HsxError(errors.EINVAL, "begin", "signed header has a wrong length")
        if not self.peers or not all(0 < n < can.ALL for n in self.peers):
            raise errors.HsxError(errors.EINVAL, "begin", "nodes are numbered 1 to 126")
        if len(stream) >> 24 or not 0 < share <= 1:
            raise errors.HsxError(errors.EINVAL, "begin", "stream or share is out of range")
        self.error = 0
        self.over = False
        self.frames = 0  # handed out
        self.on_wire = 0  # of these
        self.repairs = 0  # DATA frames sent because nodes asked
        self.buf_len = 0  # bytes of the frame that next_frame() gave
        self._stream = stream
        self._header = header
        self._digest = digest[:4]
        self._session = session
        self._base = base
        self._patience = patience
        self._by_identifier = by_identifier
        self._plan = plan
        self._count = (len(stream) + BLOCK_SIZE - 1) // BLOCK_SIZE
        self._slot_code = next(code for most, code in _CODES if len(self.peers) <= most)
        self._fresh: "deque[int]" = deque()  # blocks to send unasked
        self._wanted: "dict[int, int]" = {}  # block -> map of frames that nodes ask for
        self._control: "deque[tuple[bytes, list[Peer]]]" = deque()  # LOAD frames, whom they name
        self._named: "deque[tuple[int, list[Peer]]]" = deque()  # polls not yet on the wire
        self._runs: "deque[tuple[int, int, int]]" = deque()  # last frame, block, map: the same
        self._run: "list[int]" = []  # indexes to come, the last one first; -1: BLOCK
        self._block = 0
        self._parity = 0
        self._crcs: "dict[int, int]" = {}
        self._barrier = 0  # rule 9: nothing goes before so many frames are on the wire
        self._now = now
        self._moved = now  # last frame that left
        self._phase = _LISTEN
        self._heard_from = add(now, 1000 + int(500 * chance))
        self._begun = now  # last BEGIN
        self._rate = bitrate * share / 1000  # bits in a millisecond
        self._is_free = share >= 1
        self._budget = 0.0  # bits that may go out
        self._filled = now
        self._burst = QUEUE  # frames

    # ---- driven from outside ----

    def frame(self, ident: int, data: "memoryview | bytes", now: int) -> None:
        """A frame of another station came in."""
        self._now = now
        if self.over or (ident ^ self._base) & ~0x3FF:
            return
        op, sender = ident >> 7 & 7, ident & 0x7F
        if op >= can.DATA or (op == can.LOAD and sender == can.MASTER):
            self._on_other_master(op, data)
        elif op == can.LOAD and len(data) == 8 and data[0] == can.MASTER:
            peer = self.peers.get(sender)
            kind = data[1] & 0x0F
            if not peer or peer.error is not None or self._phase == _LISTEN:
                return
            if kind == can.STATUS and data[2] == self._session & 0xFF:
                self._on_status(peer, data)
            elif kind == can.NACK:
                self._on_nack(peer, data)

    def poll(self, now: int) -> int:
        """Timers. Milliseconds until it wants to be called again, if no frame comes before."""
        self._now = now
        if self.over:
            return _EVERY
        if self._phase == _LISTEN:
            if not reached(now, self._heard_from):
                return diff(self._heard_from, now)
            self._phase = _JOIN
            self._begun = add(now, -_EVERY)
            self._wanted[HEADER] = EVERYTHING
        if diff(now, self._begun) >= _EVERY:
            self._claim()
            late = [p for p in self._open() if not p.joined and not p.waiting and not p.ending]
            if self._phase == _STREAM and late:
                self._poll(can.JOIN, late)
        if self.frames == self.on_wire:
            self._moved = now
        elif diff(now, self._moved) >= _STUCK:
            self._stop(errors.EIO)
            self._control.clear()
            return _EVERY
        self._expire()
        waits = [p for p in self._open() if not p.joined and p.tries < _JOIN_TRIES]
        if self._phase == _JOIN and not waits and any(p.joined for p in self._open()):
            self._begin_stream()
        if not self._open():
            self._stop(0)
        return 1

    def room(self) -> bool:
        """Whether the controller may be given a frame more."""
        return self.frames - self.on_wire < QUEUE and self.on_wire >= self._barrier

    def next_frame(self, buf: bytearray) -> int:
        """Puts a frame into `buf` (8 bytes), its length into `buf_len`, and returns its
        identifier; -1: there is none now."""
        if self._phase == _LISTEN or not self.room() or not self._may_send():
            return -1
        if not self._control and not self._run and not self.over:
            self._next_run()
        if self._control:
            if self._by_identifier and self.frames > self.on_wire:
                return -1  # it would overtake
            data, peers = self._control.popleft()
            if peers:
                self._named.append((self.frames + 1, peers))
            return self._hand_out(buf, can.LOAD, can.MASTER, data)
        if not self._run:
            return -1
        index = self._run.pop()
        if index < 0:
            return self._announce(buf)
        source = self._header if self._block == HEADER else self._stream
        at = index * 8 + (0 if self._block == HEADER else self._block * BLOCK_SIZE)
        data = source[at : at + 8]
        return self._hand_out(
            buf, can.DATA, self._parity << 6 | index, data + bytes(8 - len(data))
        )

    def sent(self, now: int) -> None:
        """The oldest frame that was handed out has left the controller: sent, or given up when
        the bus failed."""
        self._now = self._moved = now
        self.on_wire += 1
        while self._runs and self._runs[0][0] <= self.on_wire:
            self._runs.popleft()
        while self._named and self._named[0][0] <= self.on_wire:
            _, peers = self._named.popleft()
            wait = self._patience + 0.35 * len(peers)
            for peer in peers:
                if peer.waiting:
                    peer.due = add(now, int(wait * (1 << min(peer.tries, _LONGEST))) + 1)

    def abort(self, now: int, errno: int) -> None:
        """Gives up and tells the nodes; those that are not through get `errno` as result."""
        self._now = now
        if not self.over:
            self._stop(errno)

    @property
    def results(self) -> "dict[int, int]":
        return {n: peer.error for n, peer in self.peers.items() if peer.error is not None}

    # ---- frames out ----

    def _hand_out(self, buf: bytearray, op: int, low: int, data: bytes) -> int:
        self.frames += 1
        self.buf_len = len(data)
        buf[: len(data)] = data
        self._budget -= _BITS
        return can.ident(op, low, self._base)

    def _announce(self, buf: bytearray) -> int:
        """The BLOCK of the run that begins."""
        self._parity ^= 1
        if self._by_identifier:
            self._barrier = self.frames + 1
        frames = sum(1 << index for index in self._run)
        self._runs.append((self.frames + 1 + len(self._run), self._block, frames))
        if self._block not in self._crcs:
            raw = self._header
            if self._block != HEADER:
                raw = self._stream[self._block * BLOCK_SIZE : (self._block + 1) * BLOCK_SIZE]
            self._crcs[self._block] = binascii.crc32(raw + bytes(-len(raw) % 8))
        crc = self._crcs[self._block]
        tag = self._session & 0xFF
        data = can.block(crc, self._block, len(self._run), self._parity, tag)
        return self._hand_out(buf, can.BLOCK, can.MASTER, data)

    def _may_send(self) -> bool:
        if self._is_free:
            return True
        more = diff(self._now, self._filled) * self._rate
        self._budget = min(self._budget + more, self._burst * float(_BITS))
        self._filled = self._now
        return self._budget > 0

    def _claim(self) -> None:
        self._begun = self._now
        header_frames = len(self._header) // 8
        data = can.begin(self._session, len(self._stream), header_frames, self._slot_code)
        self._control.append((data, []))

    def _poll(self, action: int, peers: "list[Peer]") -> None:
        for peer in peers:
            peer.waiting = True
            peer.due = add(self._now, _NEVER)  # until the frame is on the wire
            if action == can.END and not peer.ending:
                peer.ending = True
                peer.tries = 0
        for data in can.polls(action, self._session & 0xFF, [p.number for p in peers]):
            self._control.append((data, [p for p in peers if p.number >> 5 == data[3]]))

    def _next_run(self) -> None:
        """At a run boundary: what nodes ask for, lowest first, then what is new, then a poll of
        whom it is time for (rules 7 and 8)."""
        if self._wanted:
            number = HEADER if HEADER in self._wanted else min(self._wanted)
            self._start_run(number, self._wanted.pop(number))
            self.repairs += len(self._run) - 1 if number != HEADER else 0
        elif self._fresh:
            self._start_run(self._fresh.popleft(), EVERYTHING)
        else:
            due = [p for p in self._open() if not p.waiting and reached(self._now, p.due)]
            if self._phase == _JOIN:
                none = not any(p.joined for p in self._open())
                due = [p for p in due if not p.joined and (none or p.tries < _JOIN_TRIES)]
            if due:
                self._poll(can.END if self._phase == _STREAM else can.JOIN, due)

    def _start_run(self, number: int, frames: int) -> None:
        size = len(self._header) if number == HEADER else len(self._stream) - number * BLOCK_SIZE
        last = min(FRAMES, (size + 7) // 8)
        self._run = [index for index in range(last - 1, -1, -1) if frames >> index & 1]
        self._run.append(-1)
        self._block = number

    # ---- frames in ----

    def _on_other_master(self, op: int, data: "memoryview | bytes") -> None:
        is_begin = op == can.LOAD and len(data) == 8 and data[1] & 0x0F == can.BEGIN
        if self._phase == _LISTEN:
            if op != can.LOAD or is_begin:
                self._phase = _JOIN  # nothing was sent that would have to be taken back
                self._stop(errors.EBUSY)
                self._control.clear()
        elif is_begin and not any(p.joined for p in self.peers.values()):
            self._stop(errors.EBUSY)

    def _on_status(self, peer: Peer, data: "memoryview | bytes") -> None:
        state = data[1] >> 4
        first, missing = data[4] | data[5] << 8, data[6] | data[7] << 8
        peer.waiting = False
        peer.due = self._now
        if state == can.BUSY:
            peer.reason = errors.EBUSY
            peer.waiting = True  # its session may die in silence
            peer.due = add(self._now, _EVERY)
            return
        peer.tries = 0
        if state == can.DONE:
            self._close(peer, 0 if bytes(data[4:8]) == self._digest else errors.EBADMSG)
        elif state == can.FAIL:
            self._close(peer, data[3] or errors.EIO)
        elif state == can.VERIFYING:
            # DONE comes unasked: polls are for one that was lost, and take little of the bus.
            first = max(_VERIFYING, _VERIFYING_EACH * len(self.peers))
            peer.pause = min(_VERIFYING_MOST, max(first, peer.pause * 2))
            peer.due = add(self._now, peer.pause)
        elif state == can.NOBEGIN or missing == can.NO_HEADER:
            peer.joined = False
            if state == can.NOBEGIN:
                self._claim()
            self._wanted[HEADER] = EVERYTHING
            self._count_idle(peer)
        elif state in (can.READY, can.RECEIVING):
            peer.joined = True
            if missing == peer.missing and state == can.RECEIVING:
                self._count_idle(peer)
            else:
                peer.idle = 0
            peer.first, peer.missing = first, missing
            pace = data[3] & 0x7F
            if state == can.READY and pace:
                self._rate = min(self._rate, pace * 64 * _BITS / 1000)
                self._is_free = False
                self._burst = _BURST

    def _on_nack(self, peer: Peer, data: "memoryview | bytes") -> None:
        for number, frames in can.wanted(data):
            if number >= self._count and number != HEADER:
                break
            peer.asked += bin(frames).count("1")
            under_way = [run for _, block, run in self._runs if block == number]
            for run in under_way:
                frames &= ~run
            if frames or not under_way:
                self._wanted[number] = self._wanted.get(number, 0) | frames
        if peer.asked > 6 * (self._count * FRAMES + 200):
            self._close(peer, errors.EIO)

    # ---- nodes ----

    def _open(self) -> "list[Peer]":
        return [peer for peer in self.peers.values() if peer.error is None]

    def _close(self, peer: Peer, errno: int) -> None:
        peer.error = errno

    def _count_idle(self, peer: Peer) -> None:
        peer.idle += 1
        if peer.idle > _IDLE_ENDS:
            self._close(peer, errors.EIO)

    def _expire(self) -> None:
        """Polls that were not answered in time."""
        none = not any(p.joined for p in self.peers.values())
        for peer in self._open():
            if peer.waiting and reached(self._now, peer.due):
                peer.waiting = False
                peer.tries += 1
                if peer.tries >= _TRIES and (peer.ending or (none and self._phase == _JOIN)):
                    self._close(peer, peer.reason)

    def _begin_stream(self) -> None:
        self._phase = _STREAM
        joined = [p for p in self._open() if p.joined and p.missing]
        first = min((p.first for p in joined), default=self._count)
        blocks = range(self._count) if self._plan is None else sorted(self._plan)
        self._fresh.extend(b for b in blocks if first <= b < self._count)
        for peer in self._open():
            peer.waiting = False
            peer.due = self._now
            peer.idle = 0

    def _stop(self, errno: int) -> None:
        """All is over; the nodes are told so, which frees the claim."""
        for peer in self._open():
            self._close(peer, errno)
        self.error = errno
        self.over = True
        self._run.clear()
        self._wanted.clear()
        self._fresh.clear()
        self._control.clear()
        self._control.append((can.abort(can.ALL, self._session), []))
