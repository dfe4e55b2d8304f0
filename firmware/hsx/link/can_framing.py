# SPDX-License-Identifier: MIT
"""Frames of CAN as a host sees them: identifiers, and the bytes of LOAD and BLOCK frames.

docs/links.md has them bit by bit. A node has no need of this file: its engines read and write the
bytes where they lie.
"""

import struct

MASTER = 0
ALL = 127  # as destination; as number: a node without one, which never sends

GET, SET, PUB, CALL, RET, LOAD, DATA, BLOCK = range(8)  # operations
BEGIN, POLL, STATUS, NACK, ABORT, NUMBER, WHO, FIRST, NEXT = range(1, 10)  # types of LOAD
JOIN, ASK, END = range(3)  # actions of POLL
NOBEGIN, READY, RECEIVING, VERIFYING, DONE, BUSY, FAIL = range(7)  # states in STATUS

BLOCK_SIZE = 512  # bytes
FRAMES = 64  # DATA frames of a whole block
HEADER = 0xFFFF  # block number of the signed header
NO_HEADER = 0xFFFF  # missing count of a node that has none
EVERYTHING = (1 << FRAMES) - 1


def ident(op: int, low: int = MASTER, base: int = 0x400) -> int:
    """The identifier of an operation; `low`: the sender's number, or of DATA parity and index."""
    return base | op << 7 | low


def begin(session: int, total: int, header_frames: int, slot_code: int) -> bytes:
    """BEGIN: claims the bus for `session`, a stream of `total` bytes."""
    head = struct.pack("<BBHI", ALL, BEGIN, session, total)
    return head[:7] + bytes([header_frames | slot_code << 5])


def poll(action: int, tag: int, group: int, mask: int) -> bytes:
    """POLL of the nodes 32 `group` + k whose bit k is set in `mask`."""
    return struct.pack("<BBBBI", ALL, POLL | action << 4, tag, group, mask)


def polls(action: int, tag: int, nodes: "list[int]") -> "list[bytes]":
    """The POLL frames, four at most, that name all of `nodes`."""
    masks = [0] * 4
    for node in nodes:
        masks[node >> 5] |= 1 << (node & 31)
    return [poll(action, tag, group, mask) for group, mask in enumerate(masks) if mask]


def block(crc: int, number: int, count: int, parity: int, tag: int) -> bytes:
    """BLOCK: announces a run of `count` DATA frames of block `number`."""
    return struct.pack("<IHBB", crc, number, count | parity << 7, tag)


def abort(dest: int, session: int) -> bytes:
    """ABORT: ends a session for `dest`."""
    return struct.pack("<BBH", dest, ABORT, session)


def wanted(data: "bytes | memoryview") -> "list[tuple[int, int]]":
    """(block, map of frames) of a NACK; a map of 0: the BLOCK only. Nothing of an unknown kind."""
    kind = data[1] >> 4
    number, bits = struct.unpack_from("<HI", data, 2)
    if kind == 2:
        return [(number + n, EVERYTHING) for n in range(bits & 0xFFFF)]
    if kind == 3:
        frames = 0
        for n in range(5):
            frames |= 1 << (bits >> 6 * n & 0x3F)
        return [(number, frames)]
    if kind < 2:
        return [(number, bits << 32 * kind)]
    return []
