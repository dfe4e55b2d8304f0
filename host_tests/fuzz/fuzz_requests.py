# SPDX-License-Identifier: MIT
"""Messages of a host to a node that runs: each its length in a byte, then it.

Every message has the reply that it should have, one that can be read; what is refused, and what
only asks, changes nothing; what is set is public and is what was set. Whatever was done, the node
goes on, its events are told in order, and when the tasks have been killed nothing is left.
"""

import struct
from random import Random

from bench.apps import LEVEL, LIMIT, PURGE, RESET, SERIAL, AppsBench
from hsx import errors
from hsx.errors import EIO
from hsx.link import command as signed
from hsx.link import messages as m
from hsx.link.host_messages import NAMES, Reply, pack_request, unpack_reply, unpack_told

WATCHED = (
    *("service/requests", "service/signed_commands", "service/events", "link/messages"),
    *("link/wire", "link/command", "node/values", "node/commands", "node/svc_command"),
)
ERRNOS = {number for number, _ in errors._NAMES}
ASKS = {m.HELLO, m.STATUS, m.PS, m.SLOTS, m.IMAGES, m.VALUES, m.GET, m.COMMANDS, m.LOAD}
RO = 1
OIDS = (LEVEL, LIMIT, SERIAL, RESET, PURGE, 0x0205, 0, 0xFFFF)
NUMBERS = (0, 1, 2, 3, 4, 64, 127, 128, 255, 0xFFFF, 0x10000, 1 << 32, (1 << 70) - 1, *OIDS)


def a_command(action: int, acts_on: bytes, network: int = 77) -> bytes:
    return signed.pack(action, acts_on, network) + bytes(64)


COMMANDS = (
    a_command(signed.SET, struct.pack("<BxHH", 1, LIMIT, 0x3800)),
    a_command(signed.CALL, struct.pack("<BxH", 1, PURGE)),
    a_command(signed.CALL, struct.pack("<BxH", 1, 0x0203) + b"1234"),
    a_command(signed.KILL, b"\x02"),
    a_command(signed.ROLLBACK, bytes(16)),
    a_command(signed.ACTIVATE, bytes(16)),
    a_command(signed.CONFIRM, bytes(20)),
    a_command(signed.STAGE, bytes(16)),
    a_command(signed.KILL, b"\x01", 78),
)
WORDS = tuple(bytes([op, 9]) for op in range(1, len(m.TABLE) + 1)) + tuple(
    struct.pack("<H", oid) for oid in OIDS
)


def framed(*messages: bytes) -> bytes:
    return b"".join(bytes([len(message)]) + message for message in messages)


def seeds() -> list[bytes]:
    plain = [
        pack_request(name, 1, *[1] * len(m.TABLE[NAMES.index(name)][1])) for name in NAMES[:-1]
    ]
    asked = (
        pack_request("events", 2, 0, 4),
        pack_request("set", 3, 1, LEVEL, 0x3800),
        pack_request("set", 3, 1, LIMIT, 0x3800),
        pack_request("call", 4, 0, RESET),
        pack_request("call", 4, 1, PURGE),
        pack_request("call", 4, 1, 0x0205),
        pack_request("ack", 5, 2),
        pack_request("values", 6, 4),
    )
    commands = [pack_request("command", 7, data=command) for command in COMMANDS]
    found = [framed(*plain), framed(*asked), *[framed(command) for command in commands]]
    return [*found, framed(b"", b"\x01", b"\x81\x01\x00", b"\x7f\x01"), framed(*asked, *commands)]


def make(random: Random) -> bytes:
    """Requests that the table allows, with numbers that mean something and others."""
    messages = []
    for _ in range(random.randint(1, 6)):
        name = random.choice(NAMES)
        wanted = m.TABLE[NAMES.index(name)][1]
        numbers = []
        for field in wanted:
            likely = {"pid": (0, 1, 2, 3), "oid": OIDS, "window": (1, 8)}.get(field, NUMBERS)
            numbers.append(random.choice(likely if random.random() < 0.8 else NUMBERS))
        data = random.choice(COMMANDS) if name == "command" else b""
        messages.append(pack_request(name, random.randrange(256), *numbers, data=data))
    return framed(*messages)


def split(data: bytes) -> list[bytes]:
    found = []
    while data:
        size = data[0]
        found.append(data[1 : 1 + size])
        data = data[1 + size :]
    return found


def check_set(host: AppsBench, message: bytes) -> None:
    """What was set plainly is public, may be set, and is there: nothing has an epsilon here."""
    pid, oid, bits = m.unpack_request(message)
    rows = [row for row in host.node.values.rows() if row["oid"] == oid]
    row = min((row for row in rows if pid in (0, row["pid"])), key=lambda row: row["pid"])
    assert (row["auth"], row["flags"] & RO, row["bits"]) == (0, 0, bits)


def exchange(host: AppsBench, message: bytes) -> Reply | None:
    op = message[0] if message else 0
    log = op != m.COMMAND  # a signed command that is refused is told
    before = host.told_state(log)
    raw = host.send(message)
    if not raw:
        assert op & m.REPLY or op == m.ACK
        assert op == m.ACK or host.told_state(log) == before
        return None
    whole = len(message) > 1
    assert len(raw) <= m.MAX
    assert (raw[0], raw[1]) == ((m.REPLY | op, message[1]) if whole else (m.REPLY, 0))
    if op > len(m.TABLE) and whole:
        assert raw[2] == errors.ENOTSUP
        assert host.told_state(log) == before
        return None
    reply = unpack_reply(raw)
    if reply.errno:
        assert reply.errno in ERRNOS and reply.where and reply.detail
    else:
        _, _, values, row = m.TABLE[op - 1]
        assert list(reply.values) == ([] if row else list(values))
        assert all(list(found) == list(row) for found in reply.rows)
        assert reply.next == 0 or reply.rows
    # A handler that did not return has an event; everything else that is refused has no trace.
    handled = reply.errno == EIO and op in (m.CALL, m.COMMAND)
    if op in ASKS or (reply.errno and not handled):
        assert host.told_state(log) == before
    elif op == m.SET:
        check_set(host, message)
    return reply


def run(data: bytes) -> str:
    host = AppsBench()
    done = set()
    last = 0  # seq that the host has had last
    for message in split(data):
        reply = exchange(host, message)
        if reply is not None and not reply.errno:
            done.add(reply.name)
            if reply.name == "events":
                last = m.unpack_request(message)[0]
        raw = host.requests.event(host.clock())
        if raw:
            seq = unpack_told(raw)[0]
            assert last < seq <= host.log.seq
            last = seq
        host.board.tick(None)
    assert not [row for row in host.told("warning") if row.get("source") == "poll"]
    host.node.stop()
    assert host.state() == host.idle
    if not done:
        return "all refused"
    return "changed" if done & {"set", "call", "command"} else "asked"
