# SPDX-License-Identifier: MIT
"""The commands of all tasks, under (PID, OID) (spec/svc_abi.md section 9).

OID = group << 8 | id. Here is what there is and who may call it; how a handler runs is
`svc_command`'s. Statuses are those of the service calls.
"""

from micropython import const

from .. import errors
from ..errors import HsxError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ..contracts import CheckToken
    from .node import Node

OK = const(0)
ENOENT = const(1)
EPERM = const(2)
ENOSPC = const(3)
EINVAL = const(4)
EEXIST = const(5)
ENOASYNC = const(6)
EFAIL = const(7)

PIN = const(1)  # flags
ASYNC = const(2)

NO_HANDLER = const(-1)  # of a command that a task has registered itself

_LETTERS = const(2048)  # of all texts together


class Commands:
    """At most `capacity` commands. `check_token(pid, oid, token)` says whether a token opens a
    command with PIN; None, as at first: none does. It may be put in at any time."""

    def __init__(self, capacity: int = 32) -> None:
        self.check_token: "CheckToken | None" = None
        self.running = False  # while a handler does
        self._capacity = capacity
        # pid << 16 | oid -> (flags | auth level << 8, handler, name, help, group name)
        self._rows: "dict[int, tuple[int, int, str | None, str, str | None]]" = {}
        self._letters = 0

    def declare(self, pid: int, records: "Sequence[Any]") -> None:
        """Registers what an image declares: `image.metadata.Command` records, no OID twice.
        ENOSPC: the caller drops the PID."""
        status = OK
        for record in records:
            oid = record.group << 8 | record.id
            flags = record.flags | record.auth << 8
            row = (flags, record.handler, record.name, record.help, record.group_name)
            status = status or self._add(pid, oid, row)
        if status != OK:
            raise HsxError(errors.ENOSPC, "end", "no room for its commands")

    def register(self, pid: int, oid: int, flags: int, name: "str | None", help: str) -> int:
        """One public command without a handler. OK, EEXIST, ENOSPC."""
        return self._add(pid, oid, (flags, NO_HANDLER, name, help, None))

    def _add(self, pid: int, oid: int, row: "tuple[int, int, str | None, str, str | None]") -> int:
        key = pid << 16 | oid
        if key in self._rows:
            return EEXIST
        letters = _letters(row)
        if len(self._rows) == self._capacity or letters > _LETTERS - self._letters:
            return ENOSPC
        try:
            self._rows[key] = row
        except MemoryError:
            return ENOSPC
        self._letters += letters
        return OK

    def drop(self, pid: int) -> None:
        """Forgets all commands of a task; those of unknown ones are none."""
        for key in [key for key in self._rows if key >> 16 == pid]:
            self._letters -= _letters(self._rows.pop(key))

    def has(self, pid: int, oid: int) -> bool:
        """Whether a task has this command."""
        return (pid << 16 | oid) in self._rows

    def is_async(self, pid: int, oid: int) -> bool:
        """Whether a command that there is may be called without waiting for it."""
        return bool(self._rows[pid << 16 | oid][0] & ASYNC)

    def allow(self, pid: int, oid: int, token: "str | None", auth: int) -> int:
        """Whether `auth` may call a command: OK, ENOENT, EPERM (level, then token)."""
        row = self._rows.get(pid << 16 | oid)
        if row is None:
            return ENOENT
        if auth < row[0] >> 8:
            return EPERM
        if row[0] & PIN and (
            self.check_token is None or token is None or not self.check_token(pid, oid, token)
        ):
            return EPERM
        return OK

    def handler(self, pid: int, oid: int) -> int:
        """Where the code of a command begins, in bytes; NO_HANDLER. The command is there."""
        return self._rows[pid << 16 | oid][1]

    def help(self, pid: int, oid: int) -> "str | None":
        """The help text, "" if the command has none; None: there is no such command."""
        row = self._rows.get(pid << 16 | oid)
        return None if row is None else row[3]

    def occupancy(self) -> int:
        """Percent of the places or of the letters of all texts, whichever are scarcer."""
        return max(100 * len(self._rows) // self._capacity, 100 * self._letters // _LETTERS)

    def count(self, pid: int) -> int:
        """How many commands a task has."""
        return sum([key >> 16 == pid for key in self._rows])

    def owner(self, oid: int) -> int:
        """The lowest PID that has such a command, 0: none has."""
        return min([key >> 16 for key in self._rows if key & 0xFFFF == oid] or (0,))

    def row(self, index: int) -> "tuple[Any, ...] | None":
        """PID, OID, flags, auth level, name, help, group name of the command at this place by PID
        and OID; None: there is none."""
        if index >= len(self._rows):
            return None
        key = sorted(self._rows)[index]
        flags, _, name, help, group_name = self._rows[key]
        return key >> 16, key & 0xFFFF, flags & 0xFF, flags >> 8, name, help, group_name

    def rows(self, pid: "int | None" = None) -> "list[dict[str, Any]]":
        """One dict a command, of one task or of all, by PID and OID; `handler` -1: none."""
        found = []
        for index in range(len(self._rows)):
            row = self.row(index)
            if row is None or pid not in (None, row[0]):
                continue
            owner, oid, flags, auth, name, help, group_name = row
            found.append(
                {
                    "pid": owner,
                    "oid": oid,
                    "group": oid >> 8,
                    "id": oid & 0xFF,
                    "name": name,
                    "help": help,
                    "group_name": group_name,
                    "flags": flags,
                    "auth": auth,
                    "handler": self.handler(owner, oid),
                }
            )
        return found


def of(node: "Node") -> "Commands":
    """The commands of a node, made now if there are none."""
    if node.commands is None:
        node.commands = Commands()
    return node.commands


def _letters(row: "tuple[int, int, str | None, str, str | None]") -> int:
    return len(row[2] or "") + len(row[3]) + len(row[4] or "")
