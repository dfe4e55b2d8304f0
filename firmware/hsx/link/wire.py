# SPDX-License-Identifier: MIT
"""Values and events as bytes: what the event log keeps, and what links carry.

An event:

| at | bytes | what |
|---|---|---|
| 0 | 1 | length of all of it, at most 250 |
| 1 | 4 | ts: tick in ms, little-endian |
| 5 | 1 | PID, 0: the node |
| 6 | text | type |
| .. | text, value | each field, until the length is used up |

| value | bytes |
|---|---|
| text from the table of words | 0x80 + its place |
| text | its length in UTF-8, 0 to 0x6F, then it |
| None, False, True | 0x70, 0x71, 0x72 |
| integer from 0 on | 0x73, then the number |
| integer below 0 | 0x74, then -1 - it as a number |
| bytes | 0x75, then how many, as a number, then they |

A number is seven bits a byte, low ones first, with 0x80 set in all bytes but the last; at most ten
bytes.

The sequence number is not part of an event. The table of words only grows, at its end: its places
are part of the protocol.
"""

from micropython import const

from ..errors import EBADMSG, HsxError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_EVENT = const(250)  # bytes: with the head of its message 255
TEXT_MAX = const(0x6F)  # bytes; longer ones are cut

_NONE = const(0x70)
_FALSE = const(0x71)
_TRUE = const(0x72)
_NATURAL = const(0x73)
_NEGATIVE = const(0x74)
_BYTES = const(0x75)
_WORD = const(0x80)
_HEAD = const(6)
_NUMBER_MAX = const(63)  # shift of the last seven bits

# At most 128.
_WORDS = (
    "provisioning.started",
    "provisioning.progress",
    "provisioning.complete",
    "provisioning.error",
    "provisioning.aborted",
    "provisioning.persisted",
    "provisioning.rollback",
    "scan",
    "boot",
    "task",
    "warning",
    "value_registered",
    "value_changed",
    "phase",
    "source",
    "total_bytes",
    "bytes_written",
    "percent",
    "code",
    "where",
    "detail",
    "state",
    "instance",
    "stop",
    "exit_status",
    "listed",
    "started",
    "slot",
    "generation",
    "from",
    "to",
    "reason",
    "count",
    "restored",
    "oid",
    "old",
    "new",
    "line",
    "LOADING",
    "VERIFY",
    "READY",
    "FAILED",
    "ABORTING",
    "done",
    "over",
    "loaded",
    "ready",
    "sleeping",
    "paused",
    "stopped",
    "faulted",
    "killed",
    "trial",
    "confirmed",
    "SD",
    "FRAM",
    "begin",
    "write",
    "end",
    "verify",
    "commit",
    "EBADMSG",
    "ENOSPC",
    "EEXIST",
    "ENOENT",
    "ENODEV",
    "EIO",
    "exit",
    "returned",
    "cmd_registered",
    "cmd_completed",
    "status",
    "result",
    "event_dropped",
    "dropped_seq",
    "drops",
    "seq_evicted",
    "waiting",
    "empty",
    "reverted",
    "none",
    "A",
    "B",
    "EPERM",
    "ESRCH",
    "EACCES",
    "EBUSY",
    "EINVAL",
    "ENOTSUP",
    "ETIMEDOUT",
    "IDLE",
    "stdout",
    "stream",
    "text",
    "cut",
)


class Writer:
    """Fills `buf` from `at` to `end`; `full` once something did not fit."""

    def __init__(self, buf: "bytearray | memoryview", at: int, end: int) -> None:
        self._buf = buf
        self._end = end
        self.text_max = TEXT_MAX  # bytes that a text may have, not more than this
        self.at = at
        self.full = False

    def byte(self, value: int) -> None:
        if self.at < self._end:
            self._buf[self.at] = value
            self.at += 1
        else:
            self.full = True

    def number(self, value: int) -> None:
        while value > 0x7F:
            self.byte(value & 0x7F | 0x80)
            value >>= 7
        self.byte(value)

    def text(self, text: str) -> None:
        if text in _WORDS:
            self.byte(_WORD | _WORDS.index(text))
            return
        raw = text.encode()
        size = len(raw)
        if size > self.text_max:
            size = self.text_max
            while raw[size] & 0xC0 == 0x80:  # not in the middle of a character
                size -= 1
        self.byte(size)
        for at in range(size):
            self.byte(raw[at])

    def value(self, value: "Any") -> None:
        if value is None:
            self.byte(_NONE)
        elif value is True or value is False:
            self.byte(_TRUE if value else _FALSE)
        elif isinstance(value, int):
            self.byte(_NATURAL if value >= 0 else _NEGATIVE)
            self.number(value if value >= 0 else -1 - value)
        elif isinstance(value, bytes):
            self.byte(_BYTES)
            self.number(len(value))
            for byte in value:
                self.byte(byte)
        else:
            self.text(str(value))


def pack_event(
    buf: "bytearray | memoryview", ts: int, kind: str, pid: int, data: "dict[str, Any]"
) -> int:
    """Writes an event into `buf` (MAX_EVENT bytes) and returns its length. A field that does not
    fit any more is left out; text beyond 111 bytes is cut."""
    writer = Writer(buf, 1, MAX_EVENT)
    for shift in (0, 8, 16, 24):
        writer.byte(ts >> shift & 0xFF)
    writer.byte(pid & 0xFF)
    writer.text(kind)
    for key in data:
        before = writer.at
        writer.text(key)
        writer.value(data[key])
        if writer.full:
            writer.at = before
            break
    buf[0] = writer.at
    return writer.at


class Reader:
    """Takes values from `buf`, from `at` to `end`. EBADMSG for what is none, or ends early."""

    def __init__(self, buf: "bytes | bytearray | memoryview", at: int, end: int) -> None:
        self._buf = buf
        self.at = at
        self._end = end

    @property
    def more(self) -> bool:
        return self.at < self._end

    def byte(self) -> int:
        if self.at >= self._end:
            raise HsxError(EBADMSG, "end", "message ends early")
        self.at += 1
        return self._buf[self.at - 1]

    def take(self, count: int) -> bytes:
        if count > self._end - self.at:
            raise HsxError(EBADMSG, "end", "message ends early")
        self.at += count
        return bytes(self._buf[self.at - count : self.at])

    def number(self) -> int:
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            if shift == _NUMBER_MAX:
                raise HsxError(EBADMSG, "end", "number of a message is too long")
            shift += 7

    def value(self) -> "Any":
        tag = self.byte()
        if tag >= _WORD:
            if tag & 0x7F >= len(_WORDS):
                raise HsxError(EBADMSG, "end", "message has an unknown word")
            return _WORDS[tag & 0x7F]
        if tag <= TEXT_MAX:
            try:
                return str(self.take(tag), "utf-8")
            except UnicodeError:
                raise HsxError(EBADMSG, "end", "text of a message is no UTF-8")
        if tag == _NONE:
            return None
        if tag in (_FALSE, _TRUE):
            return tag == _TRUE
        if tag == _NATURAL:
            return self.number()
        if tag == _NEGATIVE:
            return -1 - self.number()
        if tag == _BYTES:
            return self.take(self.number())
        raise HsxError(EBADMSG, "end", "message has an unknown kind of value")

    def text(self) -> str:
        value = self.value()
        if not isinstance(value, str):
            raise HsxError(EBADMSG, "end", "message lacks a text")
        return value


def unpack_event(buf: "bytes | bytearray | memoryview") -> "tuple[int, str, int, dict[str, Any]]":
    """(ts, type, pid, data) of the event that `buf` begins with. EBADMSG for what is none."""
    size = buf[0] if len(buf) else 0
    if not _HEAD < size <= len(buf):
        raise HsxError(EBADMSG, "end", "message ends early")
    ts = buf[1] | buf[2] << 8 | buf[3] << 16 | buf[4] << 24
    reader = Reader(buf, _HEAD, size)
    kind = reader.text()
    data: "dict[str, Any]" = {}
    while reader.more:
        key = reader.text()
        data[key] = reader.value()
    return ts, kind, buf[5], data
