# SPDX-License-Identifier: MIT
"""metadata_json: mailboxes in JSON and in the legacy form."""

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsx.errors import EBADMSG, ENOSPC, HsxError
from hsx.image.build import build
from image.cases import CODE, read, refused

START = 96 + len(CODE) + 16  # payload of the only section


def raw(payload: bytes, count: int = 1) -> bytes:
    return build(CODE, sections=[(3, payload, count)])


def declared(*entries) -> bytes:
    return raw(json.dumps({"version": 1, "mailboxes": list(entries)}).encode())


def box(**fields):
    """The one mailbox that {"target": "app:t", **fields} declares."""
    (found,) = read(declared({"target": "app:t", **fields})).mailboxes
    return found


def targets(image: bytes) -> list:
    return [mailbox.target for mailbox in read(image).mailboxes]


def legacy(*entries, strings: bytes = b"", count: "int | None" = None) -> bytes:
    payload = b"".join(struct.pack(">IHHQ", *entry) for entry in entries) + strings
    return raw(payload, len(entries) if count is None else count)


@pytest.mark.requirement("P-30")
@pytest.mark.parametrize(
    "document",
    [
        {"version": 1, "mailboxes": [{"target": "a"}]},
        {"mailboxes": [{"target": "a"}]},
        {"entries": [{"target": "a"}]},
        {"mailboxes": [{"target": "a"}], "entries": [{"target": "b"}]},
        [{"target": "a"}],
        [{"name": "a"}],
        [{"target": "a", "name": "b"}],
        [{"target": "  a\n"}],
        [{"target": "a", "other": {"kept": [1]}}],
    ],
)
def test_every_documented_shape_is_read(document):
    assert targets(raw(json.dumps(document).encode())) == ["a"]


@pytest.mark.parametrize(
    "payload",
    [b"\0", b"\0" * 16, b"{}", b"[]", b' \n{"version":1}', b'{"mailboxes":[]}\0\0', b" \t"],
)
def test_a_section_may_declare_nothing(payload):
    assert targets(raw(payload, 5)) == []


def test_blanks_before_and_nuls_behind_the_json_are_skipped():
    assert targets(raw(b' \r\n\t[{"target":"a"}] \n\0\0\0')) == ["a"]


@pytest.mark.parametrize("count", [0, 1, 2, 0xFFFFFFFF])
def test_the_tables_count_says_nothing_about_json(count):
    assert targets(raw(b'[{"target":"a"},{"target":"b"}]', count)) == ["a", "b"]


@pytest.mark.parametrize(
    ("fields", "capacity"),
    [
        ({}, 0),
        ({"capacity": None}, 0),
        ({"capacity": ""}, 0),
        ({"capacity": 0}, 0),
        ({"capacity": 96}, 96),
        ({"queue_depth": 32}, 32),
        ({"capacity": 96, "queue_depth": 32}, 96),
    ],
)
def test_capacity_has_an_alias_and_0_stands_for_the_default(fields, capacity):
    assert box(**fields).capacity == capacity


@pytest.mark.parametrize(
    ("fields", "mode"),
    [
        ({}, 3),
        ({"mode": None}, 3),
        ({"mode": ""}, 3),
        ({"mode": 0}, 3),
        ({"mode": 27}, 27),
        ({"mode": 0x1001B}, 27),
        ({"mode_mask": 4, "mode": 8, "flags": 1}, 4),
        ({"mode": "RO", "flags": "WO"}, 1),
        ({"flags": "WO"}, 2),
        ({"mode": "RDWR|FANOUT_DROP"}, 0x13),
        ({"mode": " rdwr , Fanout|fanout_block "}, 0x2B),
        ({"mode": "RO,WO"}, 3),
        ({"mode": "TAP"}, 4),
        ({"mode": "RDONLY"}, 1),
        ({"mode": "READONLY"}, 1),
        ({"mode": "WRONLY"}, 2),
        ({"mode": "WRITEONLY"}, 2),
        ({"mode": "RW|"}, 3),
    ],
)
def test_modes_are_masks_or_names(fields, mode):
    assert box(**fields).mode == mode


def test_owner_bindings_and_reserved_are_kept():
    mailbox = box(owner_pid=3, bindings=[{"pid": 1}, {"pid": 2, "flags": 0x10005}], reserved=[1])
    assert mailbox.owner_pid == 3
    assert mailbox.bindings == [(1, 0), (2, 5)]
    assert mailbox.reserved == [1]
    assert mailbox.from_json
    plain = box(bindings=None, owner_pid=None)
    assert (plain.owner_pid, plain.bindings, plain.reserved) == (None, [], None)


@pytest.mark.parametrize(
    "fields",
    [
        {"target": None},
        {"target": ""},
        {"target": "  \t"},
        {"target": 5},
        {"target": ["a"]},
        {"capacity": -1},
        {"capacity": 1.5},
        {"capacity": True},
        {"capacity": "64"},
        {"mode": -1},
        {"mode": "SIDEWAYS"},
        {"mode": "RDWR|SIDEWAYS"},
        {"mode": [3]},
        {"mode": True},
        {"owner_pid": "1"},
        {"owner_pid": -1},
        {"bindings": {}},
        {"bindings": [1]},
        {"bindings": [{}]},
        {"bindings": [{"pid": None}]},
        {"bindings": [{"pid": 1, "flags": -1}]},
        {"bindings": [{"pid": 1, "flags": "RO"}]},
    ],
)
def test_a_wrong_field_is_refused_at_its_mailbox(fields):
    image = declared({"target": "first"}, {"target": "app:t", **fields})
    error = refused(read, image)
    assert (error.errno, error.rule) == (EBADMSG, 15)
    assert error.offset == image.index(b"{", image.index(b"first")) + 1


@pytest.mark.parametrize(
    "payload",
    [
        *[b'{"version":2,"mailboxes":[]}', b'{"version":"1"}', b'{"version":true}'],
        *[b'{"version":null}', b'{"mailboxes":{}}', b'{"mailboxes":null}', b"[1]", b"[[]]"],
        *[b'[{"target":"a"}', b'[{"target":"a"}]]', b'[{"target":"\xff"}]', b"{", b"["],
        *[b'[{"target":"a",}]', b"[{'target':'a'}]", b'[{"target":"a"}]\0x', b'\v[{"target":1}]'],
    ],
)
def test_json_that_is_broken_or_means_something_else_is_refused(payload):
    error = refused(read, raw(payload))
    assert (error.errno, error.rule) == (EBADMSG, 15)
    assert START <= error.offset <= START + len(payload)


@pytest.mark.parametrize("opening", [b"[", b'{"mailboxes":', b'{"a":['])
def test_nesting_without_end_is_refused_where_it_gets_too_deep(opening):
    error = refused(read, raw(opening * (8000 // len(opening))))
    assert (error.errno, error.rule) == (EBADMSG, 15)
    assert error.offset - START <= 8 * len(opening)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a", "a"),
        ("a", " a "),
        ("a", "svc:a"),
        ("app:a", "app:a"),
        ("shared:a@1", "shared:a"),
        ("pid:3", "pid:03"),
        ("app:" + "a" * 28, "app:" + "a" * 29),
    ],
)
def test_one_mailbox_declared_twice_is_refused(one, other):
    error = refused(read, declared({"target": one}, {"target": other, "owner_pid": 4}))
    assert (error.errno, error.rule) == (EBADMSG, 19)


def test_the_same_name_in_another_namespace_or_of_another_owner_is_another_mailbox():
    names = ["a", "app:a", "shared:a", "svc:a@1", "svc:a@2", "app:a@1", "pid:1", "A"]
    assert targets(declared(*({"target": name} for name in names))) == names


def test_the_legacy_form_is_read():
    image = legacy((32, 48, 3, 0), (38, 0, 0, 7), strings=b"app:a\0 b \0")
    one, other = read(image).mailboxes
    assert (one.target, one.capacity, one.mode, one.reserved) == ("app:a", 48, 3, 0)
    assert (other.target, other.capacity, other.mode, other.reserved) == ("b", 0, 3, 7)
    assert not one.from_json
    assert (one.owner_pid, one.bindings) == (None, [])


@pytest.mark.parametrize(
    ("name", "strings"),
    [
        (0, b"a\0"),
        (16, b"\0b"),
        (16, b"  \0b"),
        (16, b"a"),
        (18, b"a\0"),
        (0xFFFFFFFF, b"a\0"),
        (16, b"\xff\0b"),
    ],
)
def test_a_legacy_mailbox_needs_a_name(name, strings):
    error = refused(read, legacy((name, 1, 1, 1), strings=strings))
    assert (error.errno, error.rule, error.offset) == (EBADMSG, 15, START)


@pytest.mark.parametrize("count", [2, 0x10000000, 0x10000001, 0xFFFFFFFF])
def test_more_legacy_mailboxes_than_bytes_are_refused(count):
    assert refused(read, legacy((16, 1, 1, 1), strings=b"a\0", count=count)).rule == 15


def test_legacy_mailboxes_declared_twice_are_refused_at_the_second():
    error = refused(read, legacy((32, 1, 1, 1), (34, 1, 1, 1), strings=b"a\0svc:a\0"))
    assert (error.rule, error.offset) == (19, START + 16)


values = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just([]) | st.just({})
)
fields = st.sampled_from(
    ["target", "name", "capacity", "mode", "flags", "owner_pid", "bindings", "pid", "reserved"]
)


@given(
    st.lists(
        st.dictionaries(fields, values | st.lists(st.dictionaries(fields, values))), max_size=4
    )
)
def test_any_json_is_read_or_refused(entries):
    try:
        metadata = read(raw(json.dumps(entries).encode()))
    except HsxError as error:
        assert (error.errno, error.rule) in ((EBADMSG, 15), (EBADMSG, 19), (ENOSPC, 17))
    else:
        assert len(metadata.mailboxes) == len(entries)
        assert all(box.target and box.mode for box in metadata.mailboxes)


@given(st.binary(max_size=80), st.sampled_from([b"", b"[", b"{"]), st.integers(0, 4))
def test_any_payload_is_read_or_refused(payload, start, count):
    try:
        read(raw(start + payload, count))
    except HsxError as error:
        assert (error.errno, error.where) == (EBADMSG, "end")
