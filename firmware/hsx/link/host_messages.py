# SPDX-License-Identifier: MIT
"""The host's half of `messages`: requests packed, replies and events unpacked."""

from ..errors import EBADMSG, EINVAL, HsxError
from . import messages as m
from .wire import Reader, Writer, unpack_event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

NAMES = [entry[0] for entry in m.TABLE]


class Reply:
    """What a node said. `name`: of the request, "" to what was too short for one."""

    def __init__(self, name: str, tag: int) -> None:
        self.name = name
        self.tag = tag
        self.errno = 0  # 0: done
        self.where = ""  # of an error
        self.detail = ""
        self.values: "dict[str, Any]" = {}  # by the names of the table
        self.rows: "list[dict[str, Any]]" = []  # likewise, of a list
        self.next = 0  # `from` of the request that goes on with the list, 0: that was all

    def require(self) -> "Reply":
        """Itself. Raises what the node refused."""
        if self.errno:
            raise HsxError(self.errno, self.where, self.detail)
        return self


def pack_request(name: str, tag: int = 0, *numbers: int, data: bytes = b"") -> bytes:
    """A request with its numbers in the order of the table; `data`: of `command`. EINVAL: it has
    no such name or takes other numbers; or it is too long."""
    if name not in NAMES:
        raise HsxError(EINVAL, "begin", "no such request: " + name)
    wanted = m.TABLE[NAMES.index(name)][1]
    if len(numbers) != len(wanted) or min(numbers, default=0) < 0:
        raise HsxError(EINVAL, "begin", name + " takes " + (", ".join(wanted) or "nothing"))
    if data and name != "command":
        raise HsxError(EINVAL, "begin", name + " takes no data")
    buf = bytearray(m.MAX)
    writer = Writer(buf, 0, m.MAX)
    writer.byte(NAMES.index(name) + 1)
    writer.byte(tag & 0xFF)
    for number in numbers:
        writer.number(number)
    for byte in data:
        writer.byte(byte)
    if writer.full:
        raise HsxError(EINVAL, "begin", "a message has at most 255 bytes")
    return bytes(buf[: writer.at])


def unpack_reply(raw: bytes) -> Reply:
    """EBADMSG for what is no reply. What a newer node says more than the table knows is ignored,
    what an older one says less is left out."""
    if not 3 <= len(raw) <= m.MAX or raw[0] < m.REPLY or raw[0] == m.EVENT:
        raise HsxError(EBADMSG, "begin", "message is no reply")
    place = raw[0] - m.REPLY
    if place > len(m.TABLE):
        raise HsxError(EBADMSG, "begin", "reply to an unknown request")
    reply = Reply(NAMES[place - 1] if place else "", raw[1])
    reply.errno = raw[2]
    reader = Reader(raw, 3, len(raw))
    if reply.errno:
        reply.where = reader.text()
        reply.detail = reader.text()
        return reply
    if not place:
        raise HsxError(EBADMSG, "begin", "reply to no request is no error")
    _, _, values, row = m.TABLE[place - 1]
    if not row:
        reply.values = _named(values, reader)
        return reply
    reply.next = reader.byte() | reader.byte() << 8
    while reader.more:
        size = reader.byte()
        at = reader.at
        reader.take(size)
        reply.rows.append(_named(row, Reader(raw, at, at + size)))
    return reply


def _named(names: "tuple[str, ...]", reader: Reader) -> "dict[str, Any]":
    found: "dict[str, Any]" = {}
    for name in names:
        if not reader.more:
            break
        found[name] = reader.value()
    return found


def unpack_told(raw: bytes) -> "tuple[int, int, str, int, dict[str, Any]]":
    """(seq, ts, type, pid, data) of an event. EBADMSG for what is none."""
    if len(raw) < m.EVENT_HEAD or raw[0] != m.EVENT:
        raise HsxError(EBADMSG, "begin", "message is no event")
    seq = raw[1] | raw[2] << 8 | raw[3] << 16 | raw[4] << 24
    ts, kind, pid, data = unpack_event(raw[m.EVENT_HEAD :])
    return seq, ts, kind, pid, data


def read_list(ask: "Callable[[bytes], bytes]", name: str, *numbers: int) -> "list[dict[str, Any]]":
    """All rows of a list; `ask(request)` gives the reply, `numbers` are those behind `from`.
    Raises what the node refuses."""
    found: "list[dict[str, Any]]" = []
    at = 0
    while True:
        reply = unpack_reply(ask(pack_request(name, 0, at, *numbers))).require()
        found += reply.rows
        if not reply.next:
            return found
        if reply.next <= at:
            raise HsxError(EBADMSG, "begin", "list does not go on")
        at = reply.next
