# SPDX-License-Identifier: MIT
"""Requests and replies between a host and a node: the one table, and the node's half of it.

| at | bytes | a request |
|---|---|---|
| 0 | 1 | its number in the table, from 1 |
| 1 | 1 | tag: any; its reply has the same |
| 2 | numbers | what the table says, to the end; of `command` any bytes |

| at | bytes | a reply |
|---|---|---|
| 0 | 1 | 0x80 + number of the request; 0x80 alone to what is too short for one |
| 1 | 1 | tag of the request |
| 2 | 1 | errno, 0: done |
| 3 | 2 | of a list, done: `from` of the request that goes on with it, 0: this was the end |
| .. | values | what the table says; of an error where and detail |
| .. | rows | of a list: each its length, one byte, and the values that the table says |

| at | bytes | an event, which nobody asks for |
|---|---|---|
| 0 | 1 | 0xFF |
| 1 | 4 | its seq |
| 5 | event | as `wire` says |

Two-byte and four-byte numbers are little-endian, numbers and values those of `wire`. Nothing is
longer than 255 bytes. A text in a row has at most 56 bytes of UTF-8, so that each row fits: longer
ones are cut. The table only grows, at its end, and so do the values of a reply and of a row: who
reads takes those that he knows and that are there.
"""

from micropython import const

from ..errors import EBADMSG, HsxError
from .wire import Reader

MAX = const(255)  # bytes of a message
REPLY = const(0x80)
EVENT = const(0xFF)
EVENT_HEAD = const(5)  # bytes in front of a packed event
ROW_TEXT = const(56)  # bytes of a text in a row
VERSION = const(1)  # of the protocol, in `hello`

HELLO = const(1)
STATUS = const(2)
PS = const(3)
SLOTS = const(4)
IMAGES = const(5)
VALUES = const(6)
GET = const(7)
SET = const(8)
COMMANDS = const(9)
CALL = const(10)
EVENTS = const(11)
ACK = const(12)
COMMAND = const(13)
LOAD = const(14)
BOOT = const(15)

# Name; numbers of its request; values of its reply; values of a row, for a list.
TABLE = (
    (
        "hello",
        (),
        (
            "protocol",
            "node",
            "uid",
            "network",
            "board",
            "abi",
            "capabilities",
            "free",
            "max_code",
            "max_data",
            "max_stack",
            "max_values",
            "max_commands",
            "max_mailboxes",
            "seq",
            "active",
            "state",
        ),
        (),
    ),
    (
        "status",
        (),
        (
            "generation",
            "active",
            "state",
            "attempts",
            "floor",
            "trial",
            "confirmed",
            "staged",
            "total",
            "ready",
            "digest",
            "changing",
            "runs",
        ),
        (),
    ),
    (
        "ps",
        ("from",),
        (),
        (
            "pid",
            "program",
            "state",
            "app_name",
            "app_name_base",
            "pc",
            "priority",
            "quantum",
            "accounted_steps",
            "sleep_pending",
            "exit_status",
            "stop",
            "memory",
            "values",
            "commands",
            "mailboxes",
        ),
    ),
    ("slots", ("from",), (), ("bank", "active", "state", "digest", "images")),
    ("images", ("from", "bank"), (), ("name", "version", "length", "sha256")),
    (
        "values",
        ("from",),
        (),
        (
            "pid",
            "oid",
            "bits",
            "flags",
            "auth",
            "epsilon",
            "min",
            "max",
            "key",
            "name",
            "unit",
            "group_name",
        ),
    ),
    ("get", ("pid", "oid"), ("bits",), ()),
    ("set", ("pid", "oid", "bits"), (), ()),
    ("commands", ("from",), (), ("pid", "oid", "flags", "auth", "name", "help", "group_name")),
    ("call", ("pid", "oid"), ("result",), ()),
    ("events", ("since", "window"), ("seq",), ()),
    ("ack", ("seq",), (), ()),
    ("command", (), ("result",), ()),
    (
        "load",
        ("pid",),
        ("state", "source", "bytes", "total", "percent", "code", "where", "detail"),
        (),
    ),
    ("boot", ("from",), (), ("source", "result", "code", "detail", "ms")),
)


def pack_told(out: "bytearray | memoryview", seq: int, size: int) -> bytes:
    """The message of the event `seq`, whose `size` bytes (`wire.pack_event`) stand in `out` from
    EVENT_HEAD on."""
    out[0] = EVENT
    for n in range(4):
        out[1 + n] = seq >> 8 * n & 0xFF
    return bytes(out[: EVENT_HEAD + size])


def unpack_request(view: "bytes | bytearray | memoryview") -> "list[int]":
    """The numbers of a request other than `command`. EBADMSG, also for more bytes than they
    take."""
    reader = Reader(view, 2, len(view))
    numbers = [reader.number() for _ in TABLE[view[0] - 1][1]]
    if reader.more:
        raise HsxError(EBADMSG, "end", "message is longer than it should be")
    return numbers
