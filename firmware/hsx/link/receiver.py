# SPDX-License-Identifier: MIT
"""The node's end of a bulk transfer over CAN: DATA into blocks, and what is missing as NACKs.

docs/links.md has the frames; the numbers of rules in comments are those of its list. Three blocks
are held: the one that a run fills, and those that wait for a repair or, in a node that needs
order, for their turn. Nothing here allocates for a DATA or BLOCK frame of a whole block.

DATA that comes as expected costs a comparison, a copy and a sum: `CanNode.frame()` does that
itself, as on the target a call costs as much. What came without a gap, from `_from` to before
`_next`, is put into the map of its block only when there is a gap or an end.
"""

from array import array
from binascii import crc32

from micropython import const

from ..native import place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..contracts import Sink

_BLOCK = const(512)  # bytes
_FRAMES = const(64)  # of a whole block
_HELD = const(3)  # blocks; the window of a node that needs order
_HEADER = const(0xFFFF)
_DATA = const(0x300)  # identifier without the base: | run parity << 6 | index
_RESIDUE = const(0x2144DF1C)  # CRC-32 of anything with its own CRC behind it: a small int

_MAP = const(516)  # in a slot, behind block and CRC: a bit for each frame that is there
_NOTHING = const(b"\0\0\0\0\0\0\0\0")  # the map of a block that has nothing yet
_SLOT = const(524)  # bytes of the buffer that hold a block with all that

_ASKS = const(32)  # eight entries of four numbers: first block, and then
_COUNT = const(1)  # how many blocks, 0: the entry is free
_AT = const(2)  # from when, or since when, the low 16 bits of a tick
_STATE = const(3)
_AGAIN = const(5)  # ms without an answer
_DUE = const(0)
_SECOND_HALF = const(1)
_ASKED = const(2)

_FREE = const(-1)
_CHECKED = const(-1)  # frames missing of a block that waits for its turn


def _since(at: int, now: int) -> int:
    """Milliseconds since a tick of 16 bits, less than 2**15."""
    return (now - at + 0x8000 & 0xFFFF) - 0x8000


class Receiver:
    """Blocks of one session at a time, into `sink`. Stands for itself, but is made to be the
    lower half of CanNode, which hears of a whole header in `_begin()` and of an end in `_fail()`.

    `max_blocks` bounds the stream: its map of blocks takes a bit of each.
    """

    def __init__(self, sink: "Sink", max_blocks: int) -> None:
        self._sink = sink
        self._done = bytearray((max_blocks + 7) >> 3)  # a bit for each block in place
        self._buf = bytearray(_HELD * _SLOT)
        view = memoryview(self._buf)
        slots = range(0, _HELD * _SLOT, _SLOT)
        # Of each slot the block, and then of each the block with its CRC.
        self._views = tuple([view[at : at + n] for n in (_BLOCK, _MAP) for at in slots])
        self._blocks = [_FREE] * _HELD
        self._missing = [0] * _HELD  # frames
        self._ask_list = array("H", [0] * _ASKS)
        self._asks = 0  # entries in use
        self._start(0, 0, False)

    def _start(self, total: int, header: int, ordered: bool) -> None:
        """A stream of `total` bytes behind a signed header of `header` frames (0: it is held)."""
        self._header = header
        self._total = total
        self._todo = (total + _BLOCK - 1) // _BLOCK  # blocks not in place
        self._need = 0  # the first of them
        self._ordered = ordered
        self._top = -1  # highest block announced
        for at in range(len(self._done)):
            self._done[at] = 0
        for slot in range(_HELD):
            self._blocks[slot] = _FREE
        self._forget_asks()
        # The run, in DATA identifiers without the base.
        self._slot = _FREE  # which block it fills, _FREE: none that is wanted
        self._orphan = False  # its BLOCK was not heard
        self._parity = 0  # 0 or 0x40
        self._next = -1  # the one that is expected, -1: none
        self._from = 0  # since which one there was no gap
        self._end = 0  # at which it is over, if there is no gap before
        self._left = 0  # how many were to come at `_from`
        self._to = 0  # where in the buffer its first frame would be if that had the identifier 0

    def _begin(self, header: memoryview, now: int) -> None:
        """The signed header is whole."""

    def _fail(self, errno: int) -> None:
        """The session is over."""

    def _resume(self, place: int) -> None:
        """What is in place already: `place` bytes from the start."""
        blocks = self._todo if place >= self._total else place // _BLOCK
        for block in range(blocks):
            self._settle_block(block)

    def _slot_delay(self, block: int) -> int:
        """Milliseconds from a loss to its NACK, so that not all nodes ask at once (rule 6)."""
        return 0

    # ---- frames in ----

    def _stray(self, key: int, data: "memoryview | bytes", now: int) -> None:
        """DATA that is not the next one expected. `key`: its identifier without the base."""
        is_same = key & 0x40 == self._parity
        if is_same and (self._slot < 0 or self._next < 0 or key >= self._stop()):
            return  # of a run that nobody here wants, or beyond the block
        if is_same and key >= self._next - 1:
            if key < self._next:
                return  # once more
            self._mark()
            self._from = key
            self._end = min(self._stop(), key + self._left)
        else:
            # Of a run whose BLOCK was lost. Rule 5: most likely the next new block.
            self._settle(_FREE, now)
            self._ignore(key & 0x40)
            guess = self._top + 1
            if (
                self._header
                or self._is_beyond(guess)
                or self._has(guess)
                or self._find(guess) >= 0
            ):
                return
            if self._ordered and guess >= self._need + _HELD:
                return
            self._fill(guess, self._take(guess), _FRAMES + 1)
            self._orphan = True
            if key >= self._stop():
                return
            self._from = key
        self._next = key + 1
        place(self._buf, self._to + (key << 3), data)
        if self._next == self._end:
            self._close(now)

    def _block(self, data: "memoryview | bytes", now: int) -> None:
        """A BLOCK frame of this session."""
        block = data[4] | data[5] << 8
        self._settle(block, now)
        self._ignore(data[6] >> 1 & 0x40)
        if block == _HEADER:
            if not self._header:
                return
        else:
            if self._header or self._is_beyond(block):
                return
            self._announce(block, now)
            if self._has(block) or (self._ordered and block >= self._need + _HELD):
                return
        slot = self._find(block)
        if slot < 0:
            slot = self._take(block)
        elif self._missing[slot] == _CHECKED:
            return
        at = slot * _SLOT + (self._frames(block) << 3)
        for n in range(4):
            self._buf[at + n] = data[n]
        count = data[6] & 0x7F
        if self._missing[slot] == 0:
            self._finish(slot, now)
        elif count == 0:
            self._ask(block, 1, now)
        else:
            self._fill(block, slot, count)

    def _announce(self, block: int, now: int) -> None:
        """A run of `block` begins: what was skipped is asked for, what was asked for and did not
        come is asked for again (rule 6)."""
        if self._asks:
            self._answered(block, now)
        if block > self._top:
            # Before the first block that a node hears it does not know whether it came late: END
            # tells (rule 12).
            if self._top >= 0 and block > self._top + 1:
                self._ask(self._top + 1, block - self._top - 1, now)
            self._top = block

    def _answered(self, block: int, now: int) -> None:
        asks = self._ask_list
        for n in range(0, _ASKS, 4):
            first = asks[n]
            count = asks[n + _COUNT]
            if not count or block < first:
                continue
            if block < first + count:
                asks[n + _COUNT] = block - first
                if block == first:
                    self._asks -= 1
                rest = first + count - block - 1
                if rest:  # answered in one go
                    self._add(block + 1, rest, asks[n + _AT], asks[n + _STATE])
            elif asks[n + _STATE] == _ASKED and _since(asks[n + _AT], now) >= _AGAIN:
                asks[n + _STATE] = _DUE
                asks[n + _AT] = now + self._slot_delay(first) & 0xFFFF

    def _heard(self, data: "memoryview | bytes", now: int) -> None:
        """Another node's NACK: what it asks for need not be asked for again (rule 6)."""
        if not self._asks:
            return
        kind = data[1] >> 4
        block = data[2] | data[3] << 8
        asks = self._ask_list
        for n in range(0, _ASKS, 4):
            first = asks[n]
            count = asks[n + _COUNT]
            if not count or asks[n + _STATE] == _ASKED:
                continue
            if kind == 2:
                covered = block <= first and first + count <= block + (data[4] | data[5] << 8)
            else:
                slot = self._find(first) if first == block and count == 1 else -1
                covered = slot >= 0 and self._named(slot, kind, data) == self._missing[slot]
            if covered:
                asks[n + _STATE] = _ASKED
                asks[n + _AT] = now & 0xFFFF

    def _named(self, slot: int, kind: int, data: "memoryview | bytes") -> int:
        """How many of the frames that a block misses are named by a NACK."""
        named = 0
        if kind < 2:
            for index in range(32):
                if data[4 + (index >> 3)] >> (index & 7) & 1 and self._lacks(
                    slot, kind << 5 | index
                ):
                    named += 1
        elif kind == 3:
            bits = data[4] | data[5] << 8 | data[6] << 16 | (data[7] & 0x3F) << 24
            last = -1
            for _ in range(5):
                if bits & 0x3F != last and self._lacks(slot, bits & 0x3F):
                    named += 1
                last = bits & 0x3F
                bits >>= 6
        return named

    def _ask_rest(self, now: int) -> None:
        """END: everything was sent. What is missing is asked for, lowest first, by at most eight
        frames (rule 8)."""
        self._settle(_FREE, now)
        self._ignore(self._parity)
        self._forget_asks()
        if self._header:
            if self._find(_HEADER) >= 0:
                self._ask(_HEADER, 1, now)
            return
        stop = (self._total + _BLOCK - 1) // _BLOCK
        self._top = stop - 1
        if self._ordered:
            stop = min(stop, self._need + _HELD)
        block = self._need
        frames = 0
        while block < stop and frames < 8:
            first = block
            while block < stop and self._is_absent(block):
                block += 1
            if block > first:
                frames += 1
                self._ask(first, block - first, now)
            else:
                slot = self._find(block)
                if slot >= 0 and self._missing[slot] != _CHECKED:
                    frames += 1 if self._missing[slot] <= 5 else 2
                    self._ask(block, 1, now)
                block += 1
        for n in range(_AT, _ASKS, 4):
            self._ask_list[n] = now & 0xFFFF  # who was named may answer at once

    # ---- runs and blocks ----

    def _ignore(self, parity: int) -> None:
        """No run, or one that is not wanted."""
        self._slot = _FREE
        self._orphan = False
        self._parity = parity
        self._next = -1

    def _fill(self, block: int, slot: int, count: int) -> None:
        """A run of `count` frames begins to fill a block that is held."""
        self._slot = slot
        self._left = count
        first = _DATA | self._parity
        self._to = slot * _SLOT - (first << 3)
        self._from = self._next = first
        self._end = min(first + self._frames(block), first + count)

    def _stop(self) -> int:
        """The identifier behind the last one of the block that is filled."""
        return (_DATA | self._parity) + self._frames(self._blocks[self._slot])

    def _mark(self) -> None:
        """Puts what came without a gap into the map of the block."""
        slot = self._slot
        came = self._next - self._from
        if self._next < 0 or came == 0:
            return
        self._left -= came
        if self._from & 0x3F == 0 and self._next == self._stop():
            self._missing[slot] = 0  # of a block that misses nothing the map is not read
            return
        buf = self._buf
        first = self._from & 0x3F
        for index in range(first, first + came):
            at = slot * _SLOT + _MAP + (index >> 3)
            bit = 1 << (index & 7)
            if not buf[at] & bit:
                buf[at] |= bit
                self._missing[slot] -= 1

    def _lacks(self, slot: int, index: int) -> bool:
        return not self._buf[slot * _SLOT + _MAP + (index >> 3)] >> (index & 7) & 1

    def _close(self, now: int) -> None:
        """The run is over; that of an orphan only when the next BLOCK tells what it was not."""
        slot = self._slot
        if slot < 0:
            return
        self._mark()
        if self._orphan:
            self._next = -1
            return
        self._ignore(self._parity)
        if self._missing[slot] == 0:
            self._finish(slot, now)
        else:
            self._ask(self._blocks[slot], 1, now)

    def _settle(self, block: int, now: int) -> None:
        """Whatever ran is over, as a run of `block` begins (-1: of an unknown one)."""
        slot = self._slot
        is_orphan = self._orphan
        self._close(now)
        if is_orphan:
            self._orphan = False
            self._slot = _FREE
            guess = self._blocks[slot]
            if guess == block or self._missing[slot] * 2 > self._frames(guess):
                self._blocks[slot] = _FREE
            else:
                self._top = guess
                self._ask(guess, 1, now)

    def _finish(self, slot: int, now: int) -> None:
        """All frames of a block and its CRC are there."""
        block = self._blocks[slot]
        view = self._views[_HELD + slot]
        size = self._frames(block) << 3
        if crc32(view if size == _BLOCK else view[: size + 4]) != _RESIDUE:
            self._blocks[slot] = _FREE
            self._ask(block, 1, now)
        elif block == _HEADER:
            self._blocks[slot] = _FREE
            self._begin(view[:size], now)
        elif not self._ordered:
            self._write(slot)
        else:
            self._missing[slot] = _CHECKED
            self._move(now)

    def _move(self, now: int) -> None:
        """The window of a node that needs order goes on as far as it can (rule 10)."""
        before = self._need
        while True:
            slot = self._find(self._need)
            if slot < 0 or self._missing[slot] != _CHECKED:
                break
            self._write(slot)
        # What was announced and lay beyond the window is asked for now.
        for block in range(before + _HELD, min(self._need + _HELD, self._top + 1)):
            if self._find(block) < 0:
                self._ask(block, 1, now)

    def _write(self, slot: int) -> None:
        block = self._blocks[slot]
        at = block * _BLOCK
        size = min(_BLOCK, self._total - at)
        whole = self._views[slot]
        errno = self._sink.write(at, whole if size == _BLOCK else whole[:size])
        self._blocks[slot] = _FREE
        if errno < 0:
            self._fail(-errno)
        else:
            self._settle_block(block)

    def _settle_block(self, block: int) -> None:
        """The block is in place."""
        if not self._has(block):
            self._done[block >> 3] |= 1 << (block & 7)
            self._todo -= 1
            while not self._is_beyond(self._need) and self._has(self._need):
                self._need += 1

    def _is_beyond(self, block: int) -> bool:
        """Whether the stream ends before a block."""
        return block * _BLOCK >= self._total

    def _has(self, block: int) -> bool:
        return self._done[block >> 3] >> (block & 7) & 1 != 0

    def _frames(self, block: int) -> int:
        if block == _HEADER:
            return self._header
        left = self._total - block * _BLOCK
        return _FRAMES if left >= _BLOCK else (left + 7) >> 3

    def _find(self, block: int) -> int:
        """Where a block is held, -1: nowhere."""
        for slot in range(_HELD):
            if self._blocks[slot] == block:
                return slot
        return -1

    def _take(self, block: int) -> int:
        """Room for a block. If there is none, the one that misses most is given up."""
        best = 0
        for slot in range(_HELD):
            if self._blocks[slot] == _FREE:
                best = slot
                break
            if self._missing[slot] > self._missing[best]:
                best = slot
        place(self._buf, best * _SLOT + _MAP, _NOTHING)
        self._blocks[best] = block
        self._missing[best] = self._frames(block)
        return best

    # ---- what is asked for ----

    def _forget_asks(self) -> None:
        for n in range(_COUNT, _ASKS, 4):
            self._ask_list[n] = 0
        self._asks = 0

    def _ask(self, block: int, count: int, now: int) -> None:
        """Blocks to ask for, when the node's turn comes."""
        if self._ordered and block != _HEADER:
            count = min(count, self._need + _HELD - block)
        if count > 0:
            self._add(block, count, now + self._slot_delay(block) & 0xFFFF, _DUE)

    def _add(self, block: int, count: int, at: int, state: int) -> None:
        """An entry more; what does not fit waits for END."""
        asks = self._ask_list
        free = -1
        for n in range(0, _ASKS, 4):
            if asks[n + _COUNT] == 0:
                free = n
            elif asks[n] == block and asks[n + _COUNT] == count:
                return
        if free >= 0:
            asks[free] = block
            asks[free + _COUNT] = count
            asks[free + _AT] = at
            asks[free + _STATE] = state
            self._asks += 1

    def _is_absent(self, block: int) -> bool:
        """Whether nothing of a block is here, and the sink cannot do without it."""
        if self._has(block) or self._find(block) >= 0:
            return False
        at = block * _BLOCK
        if not self._sink.holds(at, min(_BLOCK, self._total - at)):
            return True
        self._settle_block(block)
        return False

    def _wait(self, now: int) -> int:
        """Milliseconds until there is something to ask for, at most a second."""
        wait = 1000
        if self._asks:
            asks = self._ask_list
            for n in range(0, _ASKS, 4):
                if asks[n + _COUNT] and asks[n + _STATE] != _ASKED:
                    wait = min(wait, max(0, -_since(asks[n + _AT], now)))
        return wait

    def _nack(self, buf: bytearray, now: int) -> bool:
        """Writes bytes 1 to 7 of the next NACK that is due, lowest block first."""
        asks = self._ask_list
        while self._asks:
            due = -1
            for n in range(0, _ASKS, 4):
                if (
                    asks[n + _COUNT]
                    and asks[n + _STATE] != _ASKED
                    and _since(asks[n + _AT], now) >= 0
                    and (due < 0 or asks[n] < asks[due])
                ):
                    due = n
            if due < 0:
                break
            if self._write_nack(buf, due, now):
                return True
            asks[due + _COUNT] = 0
            self._asks -= 1
        return False

    def _write_nack(self, buf: bytearray, n: int, now: int) -> bool:
        """The NACK of an entry; False: nothing of it is missing any more."""
        asks = self._ask_list
        block = asks[n]
        count = asks[n + _COUNT]
        if block != _HEADER:
            while count and self._find(block) < 0 and not self._is_absent(block):
                block += 1
                count -= 1
            if count == 0:
                return False
            asks[n] = block
            asks[n + _COUNT] = count
        slot = self._find(block)
        if slot >= 0 and (slot == self._slot or self._missing[slot] == _CHECKED):
            return False
        buf[2] = block & 0xFF
        buf[3] = block >> 8
        asks[n + _AT] = now & 0xFFFF
        half = asks[n + _STATE]
        asks[n + _STATE] = _ASKED
        if slot < 0:
            whole = 1
            while whole < count and self._is_absent(block + whole):
                whole += 1
            self._put(buf, 0x24, whole)
        elif 0 < self._missing[slot] <= 5:
            bits = last = shift = 0
            for index in range(self._frames(block)):
                if self._lacks(slot, index):
                    bits |= index << shift
                    shift += 6
                    last = index
            while shift < 30:
                bits |= last << shift
                shift += 6
            self._put(buf, 0x34, bits)
        else:
            self._put(buf, 0x04, 0)
            if self._missing[slot] and self._halves(buf, slot, half == _SECOND_HALF):
                asks[n + _STATE] = _SECOND_HALF
        return True

    def _put(self, buf: bytearray, kind: int, bits: int) -> None:
        buf[1] = kind
        for at in range(4):
            buf[4 + at] = bits >> (at << 3) & 0xFF

    def _halves(self, buf: bytearray, slot: int, is_second: bool) -> bool:
        """The map of what half a block misses. True: the other half misses frames too."""
        low = high = 0
        for index in range(self._frames(self._blocks[slot])):
            if self._lacks(slot, index):
                if index < 32:
                    low += 1
                else:
                    high += 1
        half = 32 if is_second or not low else 0
        buf[1] = half >> 1 | 0x04
        for index in range(half, min(half + 32, self._frames(self._blocks[slot]))):
            if self._lacks(slot, index):
                buf[4 + (index >> 3 & 3)] |= 1 << (index & 7)
        return half == 0 and high > 0
