# SPDX-License-Identifier: MIT
"""docs/provisioning_protocol.md says what the code does."""

import ast
from pathlib import Path

import pytest

from bench.apps import LEVEL, RESET, AppsBench, an_app
from docs.protocol import errors, events, fits, requests, words
from hsx import errors as hsx_errors
from hsx.link import messages as m
from hsx.link import wire
from hsx.link.host_messages import NAMES

PACKAGE = Path(__file__).parents[2] / "firmware" / "hsx"


@pytest.mark.requirement("P-106")
def test_the_table_of_requests_is_the_codes():
    written = []
    for number, (name, *parts) in enumerate(m.TABLE, 1):
        for part, fields in zip(("request", "reply", "row"), parts, strict=True):
            written += [(f"{number} `{name}`", part, field) for field in fields]
    assert [(field.owner, field.part, field.name) for field in requests()] == written


@pytest.mark.requirement("P-106")
def test_the_tables_of_words_and_errors_are_the_codes():
    assert words() == list(wire._WORDS)
    assert errors() == list(hsx_errors._NAMES)


ASKED = [
    ("hello",),
    ("status",),
    ("ps", 0),
    ("slots", 0),
    ("images", 0, 0),
    ("values", 0),
    ("get", 1, LEVEL),
    ("set", 1, LEVEL, 0),
    ("commands", 0),
    ("call", 1, RESET),
    ("events", 0, 8),
    ("load", 1),
]


@pytest.mark.parametrize("request_", ASKED, ids=lambda request: request[0])
def test_every_reply_has_the_documented_types(request_, tmp_path):
    host = AppsBench()
    path = tmp_path / "one.hxe"
    path.write_bytes(an_app("one"))
    host.runtime.persist((str(path),), False, {})
    host.runtime.activate()
    reply = host.ask(*request_).require()
    owner = f"{NAMES.index(request_[0]) + 1} `{request_[0]}`"
    for part, found in [("reply", reply.values), *[("row", row) for row in reply.rows]]:
        types = {f.name: f.type for f in requests() if (f.owner, f.part) == (owner, part)}
        assert set(found) == set(types)
        for name, value in found.items():
            assert fits(value, types[name]), (name, value)
    assert reply.rows or not m.TABLE[NAMES.index(request_[0])][3]


@pytest.mark.requirement("P-106")
def test_every_type_of_event_in_the_code_is_documented():
    """Where the type is a constant; `provisioning.` is put before those of a load."""
    known = {field.owner for field in events()}
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = ast.unparse(node.func)
            kind = node.args[0]
            if not isinstance(kind, ast.Constant) or not isinstance(kind.value, str):
                continue
            if name.rpartition(".")[2] in ("emit", "_emit"):
                found.add(kind.value)
            elif name == "self._tell" and path.name == "session.py":
                found.add("provisioning." + kind.value)
            elif name == "self._tell":
                found.add(kind.value)
    assert found - {"provisioning."} <= known
    # The two of mailboxes are chosen between; everything else is found.
    assert known - found <= {"mailbox_backpressure", "mailbox_overrun"}
