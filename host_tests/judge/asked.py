# SPDX-License-Identifier: MIT
"""Every request to a node of another tier, and what its replies must be."""

import json
from pathlib import Path

from bench.apps import LEVEL, PURGE, RESET, an_app
from docs.protocol import fits, requests
from hsx.errors import EBADMSG, ENODEV, EPERM
from hsx.link import messages as m
from hsx.link.host_messages import NAMES, pack_request, unpack_reply

MANIFEST = b'schema = 1\n[[image]]\nfile = "tank.hxe"\n'
FILES = [("tank.hxe", an_app()), ("hsx.toml", MANIFEST)]
ASKED = {
    ("hello",): 0,
    ("status",): ENODEV,
    ("ps", 0): 0,
    ("slots", 0): ENODEV,
    ("values", 0): 0,
    ("get", 0, LEVEL): 0,
    ("set", 1, LEVEL, 0xFFFF): 0,
    ("get", 1, LEVEL): 0,
    ("commands", 0): 0,
    ("call", 1, RESET): 0,
    ("call", 1, PURGE): EPERM,
    ("events", 0, 64): 0,
    ("load", 1): 0,
    ("command",): 0,
}
SCRIPT = Path(__file__).with_name("requests_on_node.py")


def script() -> str:
    """For a node whose card has FILES and whose board has no store."""
    messages = [pack_request(*request[:1], 7, *request[1:]).hex() for request in ASKED]
    return f"MESSAGES = {(*messages, '', '01', '0301ff')!r}\n{SCRIPT.read_text()}"


def judge(said: str) -> dict[str, int]:
    """Raises AssertionError for a reply that is wrong; what the node says of its heap."""
    *lines, last = [line[2:] for line in said.splitlines() if line.startswith("= ")]
    replies = [unpack_reply(bytes.fromhex(line)) for line in lines]
    for (request, errno), reply in zip(ASKED.items(), replies, strict=False):
        assert (reply.name, reply.tag, reply.errno) == (request[0], 7, errno)
        owner = f"{NAMES.index(reply.name) + 1} `{reply.name}`"
        for part, found in [("reply", reply.values), *[("row", row) for row in reply.rows]]:
            types = {f.name: f.type for f in requests() if (f.owner, f.part) == (owner, part)}
            assert set(found) == set(types) or errno
            assert all(fits(value, types[name]) for name, value in found.items())
        if m.TABLE[NAMES.index(reply.name)][3]:
            assert reply.rows or errno
    found = dict(zip(ASKED, replies, strict=False))
    assert found["get", 0, LEVEL].values == {"bits": 0x3C00}
    assert found["get", 1, LEVEL].values == {"bits": 0xFFFF}
    assert found["call", 1, RESET].values == {"result": 7}
    assert [row["app_name"] for row in found["ps", 0].rows] == ["tank"]
    assert [row["oid"] for row in found["values", 0].rows] == [LEVEL, LEVEL + 1, LEVEL + 2]
    assert [reply.errno for reply in replies[len(ASKED) :]] == [EBADMSG] * 3
    counted = json.loads(last)
    assert counted["events"] > 5
    return counted
