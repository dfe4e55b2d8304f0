# SPDX-License-Identifier: MIT
"""manifest: what a card lists, in TOML and JSON, and what is wrong with it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsx.errors import EBADMSG, ENOSPC, HsxError
from hsx.image.manifest import MANIFEST_MAX, parse_manifest
from image.cases import refused

SHA = "00ff" * 16


def from_toml(text: str) -> list:
    return parse_manifest("schema = 1\n" + text, True).entries


def from_json(*images, **more) -> list:
    return parse_manifest(json.dumps({"schema": 1, "image": list(images), **more}), False).entries


def both(**fields) -> dict:
    """The one entry that an image with these fields makes, the same from both forms."""
    fields = {"file": "a.hxe", **fields}
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in fields.items())
    (one,) = from_toml("[[image]]\n" + lines)
    (other,) = from_json(fields)
    assert vars(one) == vars(other)
    return vars(one)


def test_an_image_needs_a_file_and_has_defaults_for_the_rest():
    assert both() == {
        "file": "a.hxe",
        "place": 1,
        "order": 10,
        "version": "",
        "sha256": None,
        "priority": 10,
        "quantum": 1000,
        "stack": 0,
        "heap": 0,
        "grants": 0,
        "wishes": None,
    }


def test_all_fields_are_taken():
    entry = both(
        file="apps/motor one.hxe",
        order=-5,
        version="1.2.3",
        sha256=SHA,
        priority=255,
        quantum=100,
        stack=4096,
    )
    assert entry["file"] == "apps/motor one.hxe"
    assert (entry["order"], entry["version"]) == (-5, "1.2.3")
    assert entry["sha256"] == bytes.fromhex(SHA)
    assert (entry["priority"], entry["quantum"], entry["stack"]) == (255, 100, 4096)


@pytest.mark.requirement("P-69")
def test_images_come_in_their_order_and_equal_ones_in_that_of_the_list():
    orders = [None, 5, 20, 20, None, 0, 20]
    images = [
        {"file": str(place)} if order is None else {"file": str(place), "order": order}
        for place, order in enumerate(orders, 1)
    ]
    found = [(entry.file, entry.order) for entry in from_json(*images)]
    assert found == [("6", 0), ("2", 5), ("1", 10), ("3", 20), ("4", 20), ("7", 20), ("5", 50)]


@given(st.lists(st.integers(-3, 3), max_size=20))
def test_the_order_is_stable(orders):
    images = [{"file": str(place), "order": order} for place, order in enumerate(orders)]
    found = [(entry.order, entry.place) for entry in from_json(*images)]
    assert found == sorted(found)


@pytest.mark.parametrize("text", ["", "image = []\n", "# nothing yet\n"])
def test_a_card_may_list_nothing(text):
    assert from_toml(text) == []
    assert from_json() == []


def test_images_may_stand_in_an_array():
    entries = from_toml('image = [{file = "a"}, {file = "b", priority = 1}]')
    assert [(entry.file, entry.priority) for entry in entries] == [("a", 10), ("b", 1)]


@pytest.mark.parametrize(
    "path", ["a", "a.hxe", "apps/a.hxe", "a/b/c/d", "..a", "a..b", "...", "ä ö.hxe", "a" * 255]
)
def test_plain_paths_are_taken(path):
    assert both(file=path)["file"] == path


@pytest.mark.parametrize(
    "path",
    [
        *["", "/", "/a", "a/", "a//b", ".", "..", "./a", "../a", "a/../b", "a/..", "a/./b"],
        *["a\\b", "..\\a", "C:a", "C:\\a", "a:b", "a*", "a?", 'a"', "a<", "a>", "a|", "a\0b"],
        *["a\nb", "\x7f", "a" * 256, None, 5, ["a"], True],
    ],
)
def test_a_file_outside_the_card_or_of_an_odd_name_is_refused(path):
    error = refused(from_json, {"file": path})
    assert (error.errno, error.detail) == (EBADMSG, "file is no plain path inside the card")


@pytest.mark.parametrize(
    ("fields", "detail"),
    [
        ({"order": "1"}, "order is no integer in its range"),
        ({"order": 1.0}, "order is no integer in its range"),
        ({"order": True}, "order is no integer in its range"),
        ({"order": 2**29 + 1}, "order is no integer in its range"),
        ({"priority": -1}, "priority is no integer in its range"),
        ({"priority": 256}, "priority is no integer in its range"),
        ({"quantum": 99}, "quantum is no integer in its range"),
        ({"quantum": 2**30}, "quantum is no integer in its range"),
        ({"stack": -1}, "stack is no integer in its range"),
        ({"stack": 0xBFFD}, "stack is no integer in its range"),
        ({"version": 1}, "version is no text of at most 32 characters"),
        ({"version": "1" * 33}, "version is no text of at most 32 characters"),
        ({"sha256": SHA[1:]}, "sha256 is not 64 hex digits"),
        ({"sha256": SHA + "00"}, "sha256 is not 64 hex digits"),
        ({"sha256": SHA + "0"}, "sha256 is not 64 hex digits"),
        ({"sha256": "g" * 64}, "sha256 is not 64 hex digits"),
        ({"sha256": "é" * 64}, "sha256 is not 64 hex digits"),
        ({"sha256": " " * 64}, "sha256 is not 64 hex digits"),
        ({"sha256": 0}, "sha256 is not 64 hex digits"),
        ({"sha256": ""}, "sha256 is not 64 hex digits"),
        ({"fille": "b"}, "image has an unknown key"),
        ({"required": True}, "image has an unknown key"),
    ],
)
def test_a_wrong_field_is_refused_with_the_line_of_its_image(fields, detail):
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in fields.items())
    text = f'\n[[image]]\nfile = "a"\n\n[[image]] # line 6\nfile = "b"\n{lines}'
    error = refused(from_toml, text)
    assert (error.errno, error.where, error.rule) == (EBADMSG, "begin", 0)
    assert (error.offset, error.detail) == (6, detail)
    document = {"schema": 1, "image": [{"file": "a"}, {"file": "b", **fields}]}
    error = refused(parse_manifest, json.dumps(document, indent=1), False)
    assert (error.offset, error.detail) == (7, detail)


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("", "manifest has no schema = 1"),
        ("schema = 2", "manifest has no schema = 1"),
        ("schema = true", "manifest has no schema = 1"),
        ("schema = '1'", "manifest has no schema = 1"),
        ("schema = 1\nimages = []", "manifest has an unknown key"),
        ("schema = 1\n[image]\nfile = 'a'", "image is no list of tables"),
        ("schema = 1\nimage = ['a']", "image is no list of tables"),
        ("schema = 1\nimage = 5", "image is no list of tables"),
    ],
)
def test_a_manifest_of_another_shape_is_refused(text, detail):
    error = refused(parse_manifest, text, True)
    assert (error.errno, error.where, error.detail) == (EBADMSG, "begin", detail)


@pytest.mark.parametrize("text", ["[]", "1", "null", '"schema"', '[{"schema": 1}]'])
def test_json_must_be_an_object_with_the_schema(text):
    assert refused(parse_manifest, text, False).detail == "manifest has no schema = 1"


@pytest.mark.parametrize(
    ("text", "line"), [("{", 1), ('{\n"schema": 1,\n}', 3), ('{"schema": 1}\n\nx', 3), ("", 1)]
)
def test_broken_json_is_refused_with_its_line(text, line):
    error = refused(parse_manifest, text, False)
    assert (error.errno, error.where, error.offset) == (EBADMSG, "begin", line)
    assert error.detail == "JSON is malformed or too deep"


def test_broken_toml_is_refused_with_its_line():
    error = refused(from_toml, "[[image]]\nfile = a.hxe")
    assert (error.errno, error.where, error.offset) == (EBADMSG, "begin", 3)


@pytest.mark.parametrize("form", [str.encode, lambda text: bytearray(text.encode()), str])
def test_text_and_bytes_are_taken_and_a_byte_order_mark_is_skipped(form):
    text = 'schema = 1\r\n[[image]]\r\nfile = "ä"\r\n'
    for start in ("", "\ufeff"):
        assert parse_manifest(form(start + text), True).entries[0].file == "ä"
        assert parse_manifest(form(start + '{"schema": 1}'), False).entries == []


def test_a_manifest_has_a_largest_size():
    text = "schema = 1\n#"
    assert parse_manifest(text + "x" * (MANIFEST_MAX - len(text)), True).entries == []
    error = refused(parse_manifest, text + "x" * (MANIFEST_MAX - len(text) + 1), True)
    assert (error.errno, error.detail) == (EBADMSG, "manifest is larger than 8 KiB")


def test_no_memory_is_enospc(monkeypatch):
    def starve(*_):
        raise MemoryError

    monkeypatch.setattr("hsx.image.toml.loads", starve)
    assert refused(from_toml, "").errno == ENOSPC


@pytest.mark.parametrize("text", ["[" * 8000, '{"schema":' * 800, "a=[" * 2000, "[[a" * 2000])
@pytest.mark.parametrize("is_toml", [True, False])
def test_hostile_nesting_costs_an_error(text, is_toml):
    assert refused(parse_manifest, text, is_toml).errno == EBADMSG


PIECES = [
    *["schema = 1\n", "[[image]]\n", 'file = "a"\n', "order = 1\n", "priority = 256\n", "x = 1\n"],
    *[
        f'sha256 = "{SHA}"\n',
        "stack = {}\n",
        "image = []\n",
        '{"schema":1,',
        '"image":[',
        "{}",
        "]}",
    ],
    *['{"file":"b"}', ",", "\n", "[", "]", '"', "=", "1", "é"],
]


@given(st.lists(st.sampled_from(PIECES), max_size=10).map("".join) | st.binary(), st.booleans())
def test_any_text_is_a_list_of_images_or_an_error(text, is_toml):
    try:
        entries = parse_manifest(text, is_toml).entries
    except HsxError as error:
        assert (error.errno, error.where) == (EBADMSG, "begin")
    else:
        assert all(entry.file for entry in entries)
