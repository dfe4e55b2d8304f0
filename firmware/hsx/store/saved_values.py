# SPDX-License-Identifier: MIT
"""Saved values: raw f16 bits under a 16-bit key, of the node and not of a set (P-54 to P-58).

V1: a key has three equal slots {key, f16, seq, tag, CRC}; the tag is `open` at the save: which
trial wrote it, 0 for none. V2: a slot is accepted if its tag is 0, at most `ok`, or `open`; the
value is the accepted slot with the highest seq. So a revert, which only ends `open`, gives every
value back without a write. V3 and V4 below.
"""

import struct
from array import array

from micropython import const

from .. import ticks
from ..errors import EINVAL, ENOSPC, HsxError
from .record import blank, seal, sealed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .region import Region
    from .superblock import Superblocks

SLOT = const(16)  # bytes
_SLOTS = const(3)
_FORMAT = "<HHII"  # key, f16, seq, tag; CRC-32 behind
_LOOK = const(4)  # places that a poll looks at
_RETRY = const(1000)  # ms until a save that failed is tried again


class SavedValues:
    """`count` keys in `region`. Keys are 1 to 0xFFFE. A change waits in RAM for its debounce time,
    and later ones replace it: call `poll()`."""

    def __init__(self, region: "Region", superblocks: "Superblocks", count: int) -> None:
        self._region = region
        self._superblocks = superblocks
        self._count = count
        self._keys = array("H", bytes(2 * count))  # key of each triple, saved or waiting; 0: free
        self._triple = bytearray(_SLOTS * SLOT)
        view = memoryview(self._triple)
        self._views = [view[n * SLOT : (n + 1) * SLOT] for n in range(_SLOTS)]
        self._slot = bytearray(SLOT)
        self._pending: "dict[int, tuple[int, int]]" = {}  # key -> bits, tick when due
        self._used = 0  # places with a key
        self._known = count  # places whose keys are known, from the first on
        self.damaged = 0  # slots that were neither blank nor valid when they were looked at

    def open(self) -> None:
        """Forgets which keys are stored where: it is found out when it is needed, or by polls, so
        that a set without saved values starts without it."""
        self._pending.clear()
        self.damaged = 0
        self._used = 0
        self._known = 0

    @property
    def known(self) -> bool:
        """Whether all places were looked at."""
        return self._known == self._count

    def _learn(self, most: int = -1) -> None:
        """Looks at `most` more places, by default at all that are left."""
        end = self._count if most < 0 else min(self._known + most, self._count)
        while self._known < end:
            at = self._known
            self._region.readinto(at * _SLOTS * SLOT, self._triple)
            key = 0
            for view in self._views:
                if self._valid(view):
                    key = view[0] | view[1] << 8
                elif not blank(view):
                    self.damaged += 1
            self._keys[at] = 0
            self._take(at, key)
            self._known = at + 1

    def clear(self) -> None:
        """Blanks every slot (format)."""
        for at in range(len(self._triple)):
            self._triple[at] = 0
        for at in range(self._count):
            self._region.write(at * _SLOTS * SLOT, self._triple)
        self.open()

    def restore(self, key: int) -> "int | None":
        """The bits of a key, those that still wait to be saved first; None if there are none: the
        value keeps its init (P-57)."""
        waiting = self._pending.get(key)
        return self.saved(key) if waiting is None else waiting[0]

    def saved(self, key: int) -> "int | None":
        """The bits of a key on the medium; None if none count (V2)."""
        at = self._find(key)
        if at < 0:
            return None
        slot = self._load(at)
        return None if slot < 0 else self._field(slot, 2, 2)

    def occupancy(self) -> int:
        """Percent of the places for keys, as far as they are known."""
        return 100 * self._used // self._count

    def keys(self) -> "list[int]":
        """The keys that have a value on the medium."""
        self._learn()
        return [key for key in self._keys if key and self.saved(key) is not None]

    def slots(self, at: int) -> "list[tuple[int, int, int, int, bool, bool] | None]":
        """What stands in place `at`, slot by slot: key, bits, seq, tag, accepted or not (V2), the
        value or not; None for a slot that does not count."""
        current = self._load(at)
        found: "list[tuple[int, int, int, int, bool, bool] | None]" = []
        for slot in range(_SLOTS):
            key = self._slot_key(slot)
            if key:
                seq, tag = self._field(slot, 4, 4), self._field(slot, 8, 4)
                bits = self._field(slot, 2, 2)
                found.append((key, bits, seq, tag, self._accepted(slot), slot == current))
            else:
                found.append(None)
        return found

    # ---- saving -------------------------------------------------------------------------------

    def change(self, key: int, bits: int, now: int, debounce_ms: int = 0) -> None:
        """A value has changed: saved `debounce_ms` after the first change that is not saved yet
        (P-56), at once for 0. Errors as `save`."""
        if debounce_ms <= 0:
            self._pending.pop(key, None)
            self.save(key, bits)
            return
        # The place is taken now: a key without one would hold up every flush, and so every commit.
        self._take(self._place(key), key)
        waiting = self._pending.get(key)
        due = waiting[1] if waiting else ticks.add(now, debounce_ms)
        self._pending[key] = (bits, due)

    def poll(self, now: int) -> bool:
        """Saves one value that is due; whether there was one. An error of the medium leaves it
        waiting for another second, and goes on."""
        for key, (bits, due) in self._pending.items():
            if ticks.reached(now, due):
                self._pending[key] = (bits, ticks.add(now, _RETRY))
                self.save(key, bits)
                del self._pending[key]
                return True
        return False

    def look(self) -> bool:
        """Looks at a few places for their keys; whether some were left."""
        if self.known:
            return False
        self._learn(_LOOK)
        return True

    def flush(self) -> None:
        """Saves all that waits: at a shutdown, and before a commit (R8)."""
        for key in list(self._pending):
            self.save(key, self._pending[key][0])
            del self._pending[key]

    def drop_pending(self) -> None:
        """Forgets what waits: before a revert (R10)."""
        self._pending.clear()

    def save(self, key: int, bits: int) -> None:
        """V3: writes a slot that is neither the value nor, on trial, what a revert would give
        back. No write if the value has these bits. ENOSPC when all places for keys are taken;
        EINVAL for 0 and 0xFFFF."""
        self._superblocks.require()
        at = self._place(key)
        current = self._load(at)
        if current >= 0 and self._field(current, 2, 2) == bits:
            return
        seq = 0
        for slot in range(_SLOTS):
            if self._slot_key(slot) == key:
                seq = max(seq, self._field(slot, 4, 4))
        slot = self._free_slot(current)
        struct.pack_into(_FORMAT, self._slot, 0, key, bits, seq + 1, self._superblocks.state.open)
        seal(self._slot)
        self._region.write((at * _SLOTS + slot) * SLOT, self._slot)
        self._take(at, key)

    def drop_rejected(self) -> None:
        """V4: blanks every slot that is valid and not accepted."""
        self._learn()
        for at in range(self._count):
            if not self._keys[at]:
                continue
            self._load(at)
            for slot in range(_SLOTS):
                if self._slot_key(slot) and not self._accepted(slot):
                    for byte in range(SLOT):
                        self._slot[byte] = 0
                    self._region.write((at * _SLOTS + slot) * SLOT, self._slot)

    # ---- inside -------------------------------------------------------------------------------

    def _valid(self, view: memoryview) -> bool:
        key = view[0] | view[1] << 8
        return key not in (0, 0xFFFF) and sealed(view)

    def _take(self, at: int, key: int) -> None:
        if key and not self._keys[at]:
            self._used += 1
        self._keys[at] = key

    def _find(self, key: int) -> int:
        self._learn()
        for at in range(self._count):
            if self._keys[at] == key:
                return at
        return -1

    def _place(self, key: int) -> int:
        """The triple of a key, a free one for a new key."""
        if not 0 < key < 0xFFFF:
            raise HsxError(EINVAL, "write", "key of a value")
        at = self._find(key)
        if at < 0:
            at = self._find(0)
        if at < 0:
            raise HsxError(ENOSPC, "write", "no room for another saved value")
        return at

    def _load(self, at: int) -> int:
        """Reads a triple; the slot that is the value (V2), or -1."""
        self._region.readinto(at * _SLOTS * SLOT, self._triple)
        return self._newest(self._superblocks.state.open)

    def _newest(self, trial: int) -> int:
        """The accepted slot with the highest seq, with `trial` as the one that runs; or -1."""
        best = -1
        highest = 0
        for slot in range(_SLOTS):
            if self._slot_key(slot) and self._accepted(slot, trial):
                seq = self._field(slot, 4, 4)
                if seq > highest:
                    best = slot
                    highest = seq
        return best

    def _accepted(self, slot: int, trial: int = -1) -> bool:
        """V2. `trial` other than -1 stands for `open`."""
        state = self._superblocks.state
        tag = self._field(slot, 8, 4)
        return tag <= state.ok or tag == (state.open if trial < 0 else trial)

    def _free_slot(self, current: int) -> int:
        kept = self._newest(0) if self._superblocks.state.open else -1
        best = -1
        lowest = 0
        for slot in range(_SLOTS):
            if slot in (current, kept):
                continue
            seq = self._field(slot, 4, 4) if self._slot_key(slot) else 0
            if best < 0 or seq < lowest:
                best = slot
                lowest = seq
        return best

    def _slot_key(self, slot: int) -> int:
        """The key of a valid slot of the triple that was read, 0 for one that does not count."""
        view = self._views[slot]
        return view[0] | view[1] << 8 if self._valid(view) else 0

    def _field(self, slot: int, at: int, size: int) -> int:
        return struct.unpack_from("<H" if size == 2 else "<I", self._views[slot], at)[0]
