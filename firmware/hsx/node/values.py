# SPDX-License-Identifier: MIT
"""The values of all tasks: f16 numbers under (PID, OID) (spec/svc_abi.md sections 6 to 8).

OID = group << 8 | id. A value is a row of 16-bit fields in one array, found through one dict; its
texts are kept apart. Statuses are those of the service calls.
"""

from array import array

from micropython import const

from .. import errors, ticks
from ..errors import HsxError
from . import float16

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ..contracts import Changed, Clock, Emit, SavedBits

OK = const(0)
ENOENT = const(1)
EPERM = const(2)
ENOSPC = const(3)
EINVAL = const(4)
EEXIST = const(5)
EBUSY = const(6)

OWNER = const(256)  # authority above every level: the task itself, and who acts for it
ALL_GROUPS = const(0xFF)

_RO = const(1)  # flags that mean something here
_PERSIST = const(2)

# Fields of a row. The last six are what add() takes as `details`.
_PID = const(0)
_OID = const(1)
_FLAGS = const(2)  # flags | auth level << 8
_BITS = const(3)
_TICK_LOW = const(4)  # tick of the last accepted change
_TICK_HIGH = const(5)
_EPSILON = const(6)
_RATE = const(7)  # ms
_MIN = const(8)
_MAX = const(9)
_KEY = const(10)  # 0: none
_DEBOUNCE = const(11)  # ms
_WIDTH = const(12)

_GROWTH = const(4)  # rows at a time
_NEVER = const(0xFFFF)  # _TICK_HIGH of a value that has not changed: no tick has it
_NO_KEY = const(0xFFFF)  # reserved, never saved (spec/provisioning.md P-54)
_LETTERS = const(4096)  # of all texts together


class Values:
    """At most `capacity` values. `clock()`: ticks. `emit(type, pid, data)` gets events, `saved`
    keeps bits under keys; either may be None, and `saved` may be put in later.

    A value with PERSIST and a key gets its saved bits when it is registered, and hands on each
    accepted change. A key belongs to one value at a time: who comes second is volatile.
    """

    def __init__(
        self,
        clock: "Clock",
        emit: "Emit | None" = None,
        saved: "SavedBits | None" = None,
        capacity: int = 64,
    ) -> None:
        self.saved = saved
        self.changed: "Changed | None" = None  # told of each change by set(); None: nobody is
        self._clock = clock
        self._emit = emit
        self._capacity = capacity
        # Both grow to what is needed at once, and keep their places for the next task.
        self._rows = array("H")
        self._text: "list[Sequence[str | None] | None]" = []
        self._at: "dict[int, int]" = {}  # pid << 16 | oid -> place of the row's first field
        self._used = 0  # rows; they stand in the order of registration, without holes
        self._letters = 0
        self._unsaved: "set[int]" = set()  # keys whose last save failed: told once

    # ---- coming and going ---------------------------------------------------------------------

    def declare(self, pid: int, records: "Sequence[Any]") -> None:
        """Registers and restores what an image declares: `image.metadata.Value` records, no OID
        twice. ENOSPC: the caller drops the PID."""
        first = self._used
        try:
            for record in records:
                key = record.persist_key
                details = (record.epsilon, 0, record.min, record.max, key, 0)
                text = (record.name, record.unit, record.group_name)
                flags = record.flags | _PERSIST if key else record.flags
                oid = record.group << 8 | record.id
                if self._add(pid, oid, flags, record.auth, record.init, details, text) != OK:
                    raise HsxError(errors.ENOSPC, "end", "no room for its values")
        except MemoryError:
            raise HsxError(errors.ENOSPC, "end", "no room for its values")
        if records:
            self._restore(pid, first)

    def register(
        self,
        pid: int,
        oid: int,
        flags: int,
        details: "Sequence[int]",
        text: "Sequence[str | None]",
    ) -> int:
        """One public value, 0 until it is set or restored. `details`: epsilon, rate_ms, min, max,
        key, debounce_ms; `text`: name, unit, group name, each or None. OK, EEXIST, ENOSPC."""
        first = self._used
        try:
            status = self._add(pid, oid, flags, 0, 0, details, text)
        except MemoryError:
            status = ENOSPC
        if status == OK:
            self._restore(pid, first)
        return status

    def drop(self, pid: int) -> None:
        """Forgets all values of a task; those of unknown ones are none. What is saved stays."""
        rows = self._rows
        kept = 0
        for row in range(self._used):
            at = row * _WIDTH
            name = rows[at + _PID] << 16 | rows[at + _OID]
            text = self._text[row]
            self._text[row] = None
            if rows[at + _PID] == pid:
                del self._at[name]
                self._letters -= _letters(text)
                self._unsaved.discard(rows[at + _KEY])
                continue
            to = kept * _WIDTH
            for field in range(_WIDTH):
                rows[to + field] = rows[at + field]
            self._text[kept] = text
            self._at[name] = to  # the key is there: nothing is allocated
            kept += 1
        self._used = kept

    def _add(
        self,
        pid: int,
        oid: int,
        flags: int,
        auth: int,
        bits: int,
        details: "Sequence[int]",
        text: "Sequence[str | None]",
    ) -> int:
        name = pid << 16 | oid
        if name in self._at:
            return EEXIST
        letters = _letters(text)
        if self._used == self._capacity or letters > _LETTERS - self._letters:
            return ENOSPC
        at = self._used * _WIDTH
        rows = self._rows
        # First all that may find no memory.
        if at == len(rows):
            rows.extend(array("H", bytes(2 * _WIDTH * _GROWTH)))
        if self._used == len(self._text):
            self._text.append(None)
        self._at[name] = at
        rows[at + _PID] = pid
        rows[at + _OID] = oid
        rows[at + _FLAGS] = flags | auth << 8
        rows[at + _BITS] = bits
        rows[at + _TICK_HIGH] = _NEVER
        for n in range(len(details)):
            rows[at + _EPSILON + n] = details[n]
        self._text[self._used] = text if letters else None
        self._letters += letters
        self._used += 1
        return OK

    def _restore(self, pid: int, first: int) -> None:
        """Saved bits for the rows from `first` on; tells how many there are and what was wrong."""
        rows = self._rows
        saved = self.saved
        restored = missing = shared = unread = 0
        for at in range(first * _WIDTH, self._used * _WIDTH, _WIDTH):
            key = rows[at + _KEY]
            if key and (key == _NO_KEY or self._is_taken(key, at)):
                rows[at + _KEY] = 0
                rows[at + _FLAGS] &= 0xFFFF - _PERSIST
                shared += key != _NO_KEY
            elif key and rows[at + _FLAGS] & _PERSIST and saved is not None:
                try:
                    bits = saved.restore(key)
                except OSError:
                    unread += 1
                    continue
                if bits is None:
                    missing += 1
                else:
                    rows[at + _BITS] = bits
                    restored += 1
        if self._emit is None:
            return
        told = {"count": self._used - first, "restored": restored}
        self._emit("value_registered", pid, told)
        if saved is None:
            return  # nothing is ever kept: no warning that something is not
        for count, detail in (
            (missing, "nothing saved: default value"),
            (unread, "saved value not read: default value"),
            (shared, "key of another value: not saved"),
        ):
            if count:
                self._emit("warning", pid, {"detail": detail, "count": count})

    def _is_taken(self, key: int, before: int) -> bool:
        rows = self._rows
        return any(rows[at + _KEY] == key for at in range(0, before, _WIDTH))

    # ---- use ----------------------------------------------------------------------------------

    def has(self, pid: int, oid: int) -> bool:
        """Whether a task has this value."""
        return (pid << 16 | oid) in self._at

    def get(self, pid: int, oid: int, auth: int = OWNER) -> int:
        """The bits; -ENOENT, -EPERM (`auth` is below the value's level)."""
        at = self._at.get(pid << 16 | oid, -1)
        if at < 0:
            return -ENOENT
        if auth < self._rows[at + _FLAGS] >> 8:
            return -EPERM
        return self._rows[at + _BITS]

    def is_outside(self, pid: int, oid: int, bits: int) -> bool:
        """Whether a value that can be set has a range, and these bits are no number in it."""
        at = self._at.get(pid << 16 | oid, -1)
        rows = self._rows
        if at < 0 or rows[at + _FLAGS] & _RO or not (rows[at + _MIN] or rows[at + _MAX]):
            return False
        low, high = float16.to_float(rows[at + _MIN]), float16.to_float(rows[at + _MAX])
        return not low <= float16.to_float(bits) <= high

    def set(self, pid: int, oid: int, bits: int, auth: int = OWNER) -> int:
        """OK, also where the change is less than epsilon and nothing happens. Otherwise, in this
        order: ENOENT, EPERM (level, then read-only, which holds for the owner too), EBUSY (less
        than rate_ms since the last accepted change)."""
        at = self._at.get(pid << 16 | oid, -1)
        if at < 0:
            return ENOENT
        rows = self._rows
        flags = rows[at + _FLAGS]
        if auth < flags >> 8 or flags & _RO:
            return EPERM
        now = self._clock()
        high = rows[at + _TICK_HIGH]
        if rows[at + _RATE] and high != _NEVER:
            # After 3.1 days ticks count as earlier, and for rate_ms every 6.2 days as recent.
            passed = ticks.diff(now, high << 16 | rows[at + _TICK_LOW])
            if 0 <= passed < rows[at + _RATE]:
                return EBUSY
        if rows[at + _EPSILON] and float16.closer(bits, rows[at + _BITS], rows[at + _EPSILON]):
            return OK
        old = rows[at + _BITS]
        rows[at + _BITS] = bits
        rows[at + _TICK_LOW] = now & 0xFFFF
        rows[at + _TICK_HIGH] = now >> 16
        if flags & _PERSIST and rows[at + _KEY] and self.saved is not None:
            self._save(self.saved, at, now)
        if old != bits and self.changed is not None:
            self.changed(pid, oid, old, bits)
        return OK

    def begin_with(self, pid: int, oid: int, bits: int) -> None:
        """Takes back what was restored, before the task runs; nothing is told or saved."""
        self._rows[self._at[pid << 16 | oid] + _BITS] = bits

    def persist(self, pid: int, oid: int, mode: int) -> int:
        """Mode 0: changes are not saved from now on; 1 and 2, alike: they are, if there is a key.
        OK, ENOENT, EINVAL."""
        at = self._at.get(pid << 16 | oid, -1)
        if at < 0:
            return ENOENT
        if mode > 2:
            return EINVAL
        if mode:
            self._rows[at + _FLAGS] |= _PERSIST
        else:
            self._rows[at + _FLAGS] &= 0xFFFF - _PERSIST
        return OK

    def _save(self, saved: "SavedBits", at: int, now: int) -> None:
        """A failure is a warning: the value keeps its new bits, and its task goes on."""
        rows = self._rows
        key = rows[at + _KEY]
        try:
            saved.change(key, rows[at + _BITS], now, rows[at + _DEBOUNCE])
        except OSError as error:
            if key not in self._unsaved and self._emit is not None:
                data = {"code": errors.name(error.errno), "detail": "value not saved", "key": key}
                self._emit("warning", rows[at + _PID], data)
            self._unsaved.add(key)
        else:
            self._unsaved.discard(key)

    # ---- what there is ------------------------------------------------------------------------

    def occupancy(self) -> int:
        """Percent of the places or of the letters of all texts, whichever are scarcer."""
        return max(100 * self._used // self._capacity, 100 * self._letters // _LETTERS)

    def count(self, pid: int) -> int:
        """How many values a task has."""
        return len(self.oids(pid))

    def oids(self, pid: int, group: int = ALL_GROUPS) -> "list[int]":
        """The OIDs of a task's values in the order of registration."""
        rows = self._rows
        return [
            rows[at + _OID]
            for at in range(0, self._used * _WIDTH, _WIDTH)
            if rows[at + _PID] == pid and group in (ALL_GROUPS, rows[at + _OID] >> 8)
        ]

    def owner(self, oid: int) -> int:
        """The lowest PID that has such a value, 0: none has."""
        return min([key >> 16 for key in self._at if key & 0xFFFF == oid] or (0,))

    def row(self, index: int) -> "tuple[Any, ...] | None":
        """PID, OID, bits, flags, auth level, epsilon, min, max, key, name, unit, group name of the
        value at this place in the order of registration, numbers as bits; None: there is none."""
        if index >= self._used:
            return None
        at = index * _WIDTH
        rows = self._rows
        flags = rows[at + _FLAGS]
        head = (rows[at + _PID], rows[at + _OID], rows[at + _BITS], flags & 0xFF, flags >> 8)
        limits = (rows[at + _EPSILON], rows[at + _MIN], rows[at + _MAX], rows[at + _KEY])
        return head + limits + tuple(self._text[index] or (None, None, None))

    def rows(self, pid: "int | None" = None) -> "list[dict[str, Any]]":
        """One dict a value, of one task or of all; `value` is a float, `bits` what it is made of,
        `key` 0 for a value that is not saved under any."""
        found = []
        for index in range(self._used):
            row = self.row(index)
            if row is None or pid not in (None, row[0]):
                continue
            owner, oid, bits, flags, auth, _, low, high, key, name, unit, group_name = row
            found.append(
                {
                    "pid": owner,
                    "oid": oid,
                    "group": oid >> 8,
                    "id": oid & 0xFF,
                    "name": name,
                    "unit": unit,
                    "group_name": group_name,
                    "bits": bits,
                    "value": float16.to_float(bits),
                    "flags": flags,
                    "auth": auth,
                    "min": float16.to_float(low),
                    "max": float16.to_float(high),
                    "key": key,
                }
            )
        return found


def _letters(text: "Sequence[str | None] | None") -> int:
    count = 0
    for part in text or ():
        count += len(part or "")
    return count
