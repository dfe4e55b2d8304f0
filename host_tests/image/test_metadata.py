# SPDX-License-Identifier: MIT
"""metadata: entries, strings, what may not be declared twice."""

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsx.errors import EBADMSG
from hsx.image.build import build
from hsx.image.metadata import mailbox_identity
from image.cases import CODE, GOLDEN, a_command, a_value, an_image, read, refused

START = 96 + len(CODE) + 16  # payload of the only section of raw()


def raw(kind: int, payload: bytes, count: int = 1) -> bytes:
    """An image with one section given as bytes."""
    return build(CODE, sections=[(kind, payload, count)])


def value_entry(name: int = 0, unit: int = 0, group_name: int = 0, oid=(1, 2)) -> bytes:
    return struct.pack(">BBBBHHHHHHHH", *oid, 0, 0, 0, name, unit, 0, 0, 0, 0, group_name)


def command_entry(
    handler: int = 0, name: int = 0, help: int = 0, group_name: int = 0, oid=(1, 2)
) -> bytes:
    return struct.pack(">BBBBIHHI", *oid, 0, 0, handler, name, help, group_name)


@pytest.mark.requirement("P-30")
@pytest.mark.parametrize(
    "path", sorted((GOLDEN / "programs").glob("*.json")), ids=lambda p: p.stem
)
def test_golden_metadata_is_read_as_the_reference_reads_it(path):
    metadata = read(path.with_suffix(".hxe").read_bytes())
    facts = json.loads(path.read_text())["metadata"]
    for value, fact in zip(metadata.values, facts["values"], strict=True):
        assert (value.group, value.id) == (fact["group_id"], fact["value_id"])
        assert (value.flags, value.auth) == (fact["flags"], fact["auth_level"])
        assert (value.init, value.epsilon) == (fact["init_raw"], fact["epsilon_raw"])
        assert (value.min, value.max) == (fact["min_raw"], fact["max_raw"])
        assert (value.name, value.unit) == (fact["name"], fact["unit"])
        assert (value.group_name, value.persist_key) == (fact["group_name"], fact["persist_key"])
    for command, fact in zip(metadata.commands, facts["commands"], strict=True):
        assert (command.group, command.id) == (fact["group_id"], fact["cmd_id"])
        assert (command.flags, command.auth) == (fact["flags"], fact["auth_level"])
        assert (command.name, command.help) == (fact["name"], fact["help"])
        assert command.group_name == fact["group_name"]
        assert command.handler == fact["handler_offset"]
    for mailbox, fact in zip(metadata.mailboxes, facts["mailboxes"], strict=True):
        assert mailbox.target == fact["target"]
        assert mailbox.capacity == fact["queue_depth"]
        assert mailbox.mode == fact["mode_mask"]
        assert (mailbox.owner_pid, mailbox.bindings) == (fact["owner_pid"], fact["bindings"])


def test_offset_0_is_no_string():
    value = read(raw(1, value_entry())).values[0]
    assert (value.name, value.unit, value.group_name) == (None, None, None)
    command = read(raw(2, command_entry())).commands[0]
    assert (command.name, command.help, command.group_name) == (None, "", None)


def test_a_string_elsewhere_may_be_empty_and_may_lie_in_the_entries():
    value = read(raw(1, value_entry(name=20, unit=7) + b"\0")).values[0]
    assert (value.name, value.unit) == ("", "\x14")


def test_the_high_half_of_a_commands_group_name_is_reserved():
    command = read(raw(2, command_entry(group_name=0xABCD0010) + b"g\0")).commands[0]
    assert command.group_name == "g"


@pytest.mark.parametrize(
    ("offset", "text"),
    [
        (20, b""),
        (21, b"\0"),
        (0xFFFF, b"name\0"),
        (20, b"name"),
        (20, b"n\xff\0"),
        (20, b"\xc0\x80\0"),
        (20, b"\xed\xa0\x80\0"),
        (21, b"\xc3\xa9\0"),
    ],
)
@pytest.mark.parametrize("field", ["name", "unit", "group_name"])
def test_strings_must_end_inside_their_section_and_be_utf8(field, offset, text):
    error = refused(read, raw(1, value_entry(**{field: offset}) + text))
    assert (error.errno, error.rule, error.offset) == (EBADMSG, 15, START)


@pytest.mark.parametrize("field", ["name", "help", "group_name"])
def test_strings_of_commands_are_judged_alike(field):
    error = refused(read, raw(2, command_entry(**{field: 99}) + b"x\0"))
    assert (error.rule, error.offset) == (15, START)


@pytest.mark.parametrize("count", [2, 3, 0x0CCCCCCD, 0x10000000, 0x10000001, 0xFFFFFFFF])
@pytest.mark.parametrize(("kind", "payload"), [(1, value_entry()), (2, command_entry())])
def test_more_entries_than_bytes_are_refused_at_once(kind, payload, count):
    error = refused(read, raw(kind, payload + bytes(15), count))
    assert (error.errno, error.rule, error.offset) == (EBADMSG, 15, START)


def test_fewer_entries_than_bytes_leave_the_rest_unread():
    image = raw(1, value_entry() + value_entry(name=0xFFFF), 1)
    assert len(read(image).values) == 1
    assert read(raw(1, value_entry(), 0)).values == []


@pytest.mark.parametrize("handler", [1, 2, 3, len(CODE) - 1, len(CODE), len(CODE) + 4, 0xFFFFFFFC])
def test_a_handler_outside_the_code_or_between_instructions_is_refused(handler):
    error = refused(read, raw(2, command_entry(handler)))
    assert (error.errno, error.rule, error.offset) == (EBADMSG, 15, START)


@pytest.mark.parametrize("handler", range(0, len(CODE), 4))
def test_every_instruction_may_be_a_handler(handler):
    assert read(raw(2, command_entry(handler))).commands[0].handler == handler


@pytest.mark.parametrize(("kind", "entry"), [(1, value_entry), (2, command_entry)])
def test_an_oid_declared_twice_is_refused_at_the_second(kind, entry):
    payload = entry(oid=(1, 2)) + entry(oid=(2, 1)) + entry(oid=(1, 2))
    error = refused(read, raw(kind, payload, 3))
    assert (error.errno, error.rule) == (EBADMSG, 18)
    assert error.offset == START + 2 * len(payload) // 3


@pytest.mark.parametrize("auth", [0, 3, 4, 255])
def test_every_auth_level_is_kept(auth):
    metadata = read(an_image([a_value(auth=auth)], [a_command(auth=auth)]))
    assert (metadata.values[0].auth, metadata.commands[0].auth) == (auth, auth)


def test_a_string_that_many_name_is_one_object():
    metadata = read(an_image([a_value(id=1), a_value(id=2)]))
    assert metadata.values[0].name is metadata.values[1].name


@pytest.mark.parametrize(
    ("target", "identity"),
    [
        ("log", ("svc", "log", "own")),
        ("svc:log", ("svc", "log", "own")),
        ("svc:log@3", ("svc", "log", 3)),
        ("log@3", ("svc", "log", 3)),
        ("svc:log@x", ("svc", "log", "x")),
        ("app:log", ("app", "log", "")),
        ("app:log@3", ("app", "log", 3)),
        ("app:log@03", ("app", "log", 3)),
        ("shared:log", ("shared", "log", "")),
        ("shared:log@3", ("shared", "log", "")),
        ("pid:", ("pid", "", "own")),
        ("pid:3", ("pid", "", 3)),
        ("pid:\u00b2", ("pid", "", "\u00b2")),  # a digit for str.isdigit(), not for int()
        ("svc:log@\u0663", ("svc", "log", "\u0663")),
        ("hal:uart", ("svc", "hal:uart", "own")),
        (":log", ("svc", ":log", "own")),
        ("svc:" + "a" * 40, ("svc", "a" * 28, "own")),
    ],
)
def test_a_target_stands_for_a_namespace_a_name_and_an_owner(target, identity):
    assert mailbox_identity(target) == identity


@given(st.one_of(st.text(), st.from_regex(r"(pid:|svc:a@)\w*")))
def test_any_target_has_an_identity_of_its_first_32_characters(target):
    assert mailbox_identity(target) == mailbox_identity(target[:32])
