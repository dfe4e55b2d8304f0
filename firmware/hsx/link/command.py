# SPDX-License-Identifier: MIT
"""Signed commands as bytes: what a host asks a node to change (docs/provisioning_protocol.md).

| at | bytes | what |
|---|---|---|
| 0 | 4 | network: u32, as the node has it |
| 4 | 1 | action, see below |
| 5 | 1 | flags: 1 ACTIVATE |
| 6 | 2 | zero |
| 8 | 8 | key: the first bytes of the public key that signs; zeros: nobody signs |
| 16 | 4 | counter: u32, higher than in all commands before it by this key |
| 20 | 4 | total: u32, bytes of the stream that follows; 0 for none |
| 24 | 16 | nodes: node n is bit n % 8 of byte n // 8; bit 127: all |
| 40 | 32 | what it acts on, see below |
| 72 | 64 | Ed25519 over CONTEXT and the bytes before |

Numbers are little-endian. A command is for every node that it names, so that one signature serves
a whole bus, and acts once on each: the node keeps the counter.

| action | needs | acts on |
|---|---|---|
| LOAD 1 | ADMIN | SHA-256 of the image that follows; it runs until the next reset |
| STAGE 2 | ADMIN | digest of the set whose bank follows, 16 bytes; with ACTIVATE it then runs |
| ACTIVATE 3 | ADMIN | digest of the staged set, 16 bytes |
| CONFIRM 4 | ADMIN | digest of the set on trial, 16 bytes, then the new floor: u32 |
| ROLLBACK 5 | ADMIN | digest of the set to go back to, 16 bytes; zeros: whichever is there |
| SET 6 | its auth level | PID, zero, OID u16, f16 bits u16 |
| CALL 7 | its auth level | PID, zero, OID u16, then its token: UTF-8, zeros behind it |
| KILL 8 | ADMIN | PID |
| ABORT 9 | ADMIN | nothing: the transfer on its way, by any link, ends; else the staged set goes |
| RESET 10 | ADMIN | 1 for the safe mode at the next start, 0 for a plain one |
"""

import struct

from micropython import const

SIZE = const(136)
BODY = const(72)  # bytes that are signed
CONTEXT = b"HSX command 1\0"  # no signature over anything else begins so

LOAD = const(1)
STAGE = const(2)
ACTIVATE = const(3)
CONFIRM = const(4)
ROLLBACK = const(5)
SET = const(6)
CALL = const(7)
KILL = const(8)
ABORT = const(9)
RESET = const(10)

FLAG_ACTIVATE = const(1)

AT_KEY = const(8)
KEY_ID = const(8)  # bytes
AT_OBJECT = const(40)
_AT_COUNTER = const(16)
_AT_TOTAL = const(20)
_AT_NODES = const(24)
_FORMAT = "<IBBH8sII16s32s"


def names(command: "bytes | memoryview", node: int) -> bool:
    """Whether the command is for a node, 1 to 126; 127, a node without a number, is only named by
    one for all."""
    everyone = command[_AT_NODES + 15] >> 7
    return bool(everyone or command[_AT_NODES + node // 8] >> node % 8 & 1)


def counter(command: "bytes | memoryview") -> int:
    """Its counter."""
    return struct.unpack_from("<I", command, _AT_COUNTER)[0]


def total(command: "bytes | memoryview") -> int:
    """Bytes of the stream that follows."""
    return struct.unpack_from("<I", command, _AT_TOTAL)[0]


def nodes_field(nodes: "list[int] | None") -> bytes:
    """The 16 bytes that name nodes, 1 to 126; None: all."""
    field = bytearray(16)
    for node in [127] if nodes is None else nodes:
        field[node // 8] |= 1 << node % 8
    return bytes(field)


def pack(
    action: int,
    acts_on: bytes,
    network: int = 0,
    nodes: "list[int] | None" = None,
    total: int = 0,
    flags: int = 0,
    key: bytes = bytes(KEY_ID),
    counter: int = 0,
) -> bytes:
    """The 72 bytes that are signed; `acts_on`: at most 32 bytes, zeros follow. Behind them belong
    64 bytes of signature over CONTEXT and them, or zeros."""
    field = nodes_field(nodes)
    head = (network, action, flags, 0, key[:KEY_ID], counter, total, field, acts_on)
    return struct.pack(_FORMAT, *head)
