# SPDX-License-Identifier: MIT
"""docs/hxe_format.md says where everything is in the files that the builder writes."""

import re

import pytest

from docs.hxe_format import fields, section
from hsx import errors
from hsx.image import metadata_json
from hsx.image.build import build, command_section, value_section
from hsx.image.header import parse
from hsx.image.metadata import Command, Value

CODE = bytes(16)
VALUE = Value(1, 2, 3, 4, 5, "name", "unit", 8, 9, 10, 11, "group")
COMMAND = Command(1, 2, 3, 4, 8, "name", "help", "group")


@pytest.mark.requirement("P-106")
def test_the_header_is_as_described():
    image = build(
        CODE,
        b"123",
        name="app",
        entry=4,
        flags=3,
        req_caps=5,
        bss_size=7,
        sections=[value_section([VALUE])],
    )
    said = fields("Header", image[:96])
    header = parse(image[:96])
    assert said.pop("magic") == b"HSXE"
    assert said.pop("reserved") == bytes(24)
    assert said == {name: getattr(header, name) for name in said}
    assert (said["version"], said["app_name"], said["meta_count"]) == (2, "app", 1)

    table = fields("Section table", image[header.meta_offset :][:16])
    payload = value_section([VALUE])[1]
    at = header.meta_offset + 16
    assert table == {"type": 1, "offset": at, "size": len(payload), "entries": 1}
    assert image[at:] == payload


@pytest.mark.requirement("P-106")
@pytest.mark.parametrize(
    ("heading", "size", "made", "strings", "record"),
    [
        ("`.value`", 20, value_section([VALUE]), ("name", "unit", "group_name"), VALUE),
        ("`.cmd`", 16, command_section([COMMAND]), ("name", "help", "group_name"), COMMAND),
    ],
    ids=["values", "commands"],
)
def test_values_and_commands_are_as_described(heading, size, made, strings, record):
    payload = made[1]
    said = fields(heading, payload[:size])
    for name in strings:
        text = payload[said[name] :]
        said[name] = text[: text.index(0)].decode()
    assert said == {name: getattr(record, name) for name in said}
    assert len(said) == len(vars(record))


@pytest.mark.requirement("P-106")
def test_the_rules_are_the_codes():
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", section("What is refused"), re.MULTILINE)
    assert [(int(number), text) for number, text in rows] == list(enumerate(errors._DETAILS))[1:]


@pytest.mark.requirement("P-106")
def test_the_modes_of_mailboxes_are_the_codes():
    said = re.findall(r"\b([A-Z_]+) (0x10|0x20|\d)\b", section("`.mailbox`"))
    assert {(name, int(bit, 0)) for name, bit in said} <= set(metadata_json._MODES)
    assert {int(bit, 0) for _, bit in said} == {bit for _, bit in metadata_json._MODES}
