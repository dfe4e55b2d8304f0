# SPDX-License-Identifier: MIT
"""Tables and examples of documents that have no test of their own say what the code does."""

import json
import re

import pytest

from docs.console import blocks
from docs.tables import DOCS, coded, table
from hsx.boot.config import ORDER, Config
from hsx.boot.config_file import take
from hsx.errors import HsxError
from hsx.image import manifest, wishes
from hsx.link import command, messages, wire
from hsx.service import policy
from hsx.service.signed_commands import _NEEDS
from hsxctl import settings


def test_the_keys_of_the_settings_are_the_codes():
    rows = table("provisioning.md", "key", "is")
    assert sorted(key for cell, _ in rows for key in coded(cell)) == sorted(settings.KEYS)


def test_the_example_of_a_configuration_is_one():
    (example,) = blocks(DOCS / "boot.md", "toml")
    config = Config()
    take(example.encode(), True, config)
    assert vars(config) == {"sd": "update", "number": 5, "watchdog_ms": 8000, "safe": ""}


def test_the_sources_are_the_codes_in_their_order():
    assert [coded(row[0])[0] for row in table("boot.md", "source", "what")] == ORDER.split()


# ---- docs/provisioning_protocol.md, and link/command.py, to which it sends its reader ---------


def test_the_first_bytes_of_values_are_the_codes():
    told = dict(table("provisioning_protocol.md", "value", "bytes"))
    first = {name: [int(n, 16) for n in re.findall(r"0x\w+", row)] for name, row in told.items()}
    assert first == {
        "text from the table of words": [wire._WORD],
        "text": [wire.TEXT_MAX],
        "none, false, true": [wire._NONE, wire._FALSE, wire._TRUE],
        "integer from 0 on": [wire._NATURAL],
        "integer below 0": [wire._NEGATIVE],
        "bytes": [wire._BYTES],
    }


def test_the_first_bytes_of_messages_are_the_codes():
    told = dict(table("provisioning_protocol.md", "message", "bytes"))
    assert told["reply"].startswith(f"0x{messages.REPLY:02X} + number of the request")
    assert told["event"].startswith(f"0x{messages.EVENT:02X}, u32 seq")
    text = (DOCS / "provisioning_protocol.md").read_text()
    assert f"as messages of at most {messages.MAX}\n" in text
    assert f"Text in a row is cut to {messages.ROW_TEXT} bytes" in text


def test_the_bytes_of_a_command_are_where_its_table_says():
    rows = re.findall(r"^\| (\d+) \| (\d+) \| (\w+)", command.__doc__, re.MULTILINE)
    places = {name: slice(int(at), int(at) + int(size)) for at, size, name in rows}
    assert places["Ed25519"] == slice(command.BODY, command.SIZE)
    told = {"network": 1, "counter": 2, "total": 3, "nodes": [9], "flags": 4}
    body = command.pack(5, b"object", key=b"publickey", **told)
    found = {name: body[place] for name, place in places.items()}
    numbers = ("network", "action", "flags", "zero", "counter", "total")
    assert [int.from_bytes(found[name], "little") for name in numbers] == [1, 5, 4, 0, 2, 3]
    assert (found["key"], found["what"]) == (b"publicke", b"object".ljust(32, b"\0"))
    assert found["nodes"] == command.nodes_field([9])


def test_the_actions_of_commands_are_the_codes_with_their_roles():
    rows = re.findall(r"^\| ([A-Z]+) (\d+) \| (.*?) \|", command.__doc__, re.MULTILINE)
    assert [int(number) for _, number, _ in rows] == list(range(1, len(_NEEDS)))
    for name, number, needs in rows:
        assert getattr(command, name) == int(number)
        least = policy.USER if needs == "its auth level" else getattr(policy, needs)
        assert _NEEDS[int(number)] == least


# ---- docs/sd_manifest.md ----------------------------------------------------------------------

KEYS = {coded(key)[0]: (value, default) for key, value, default in table("sd_manifest.md", "key")}
RANGED = [
    key for key, (value, _) in KEYS.items() if re.search(r"\d (?:first )?to |at most 0x", value)
]
LONG = [
    (key, int(most[1]))
    for key, (value, _) in KEYS.items()
    if (most := re.search(r"at most (\d+) characters", value))
]


def entry(**keys) -> manifest.Entry:
    text = json.dumps({"schema": 1, "image": [{"file": "a.hxe", **keys}]})
    (found,) = manifest.parse_manifest(text, False).entries
    return found


def is_taken(**keys) -> bool:
    try:
        entry(**keys)
    except HsxError:
        return False
    return True


@pytest.mark.parametrize("key", RANGED)
def test_a_number_of_an_image_has_the_limits_of_the_table(key):
    numbers = re.findall(r"2\*\*30 - 1|0x[0-9A-F]+|\d+", KEYS[key][0])
    last = eval(numbers[-1])
    first = 0 if len(numbers) == 1 else eval(numbers[0])
    tried = (first - 1, first, last, last + 1)
    assert [is_taken(**{key: number}) for number in tried] == [False, True, True, False]


@pytest.mark.parametrize(("key", "most"), LONG)
def test_a_text_of_an_image_has_the_length_of_the_table(key, most):
    for size in (most, most + 1):
        value = ["x" * size] if key == "mailboxes" else "x" * size
        assert is_taken(**{key: value}) == (size == most)


def test_the_limits_are_all_there():
    assert sorted(RANGED) == ["caps", "heap", "pid", "priority", "quantum", "stack"]
    assert sorted(key for key, _ in LONG) == ["file", "mailboxes", "version"]


def test_lists_and_manifest_are_as_long_as_they_may_be():
    text = (DOCS / "sd_manifest.md").read_text()
    said = r"Lists have at most (\d+) items, the manifest at most (\d+) KiB"
    ((items, size),) = re.findall(said, text)
    for count in (int(items), int(items) + 1):
        assert is_taken(mailboxes=["x"] * count) == (count == int(items))
    assert int(size) * 1024 == manifest.MANIFEST_MAX


def test_the_defaults_of_an_image_are_those_of_the_table():
    found = entry()
    for key in ("priority", "quantum"):
        assert KEYS[key][1] == str(getattr(found, key))
    assert KEYS["order"][1] == f"{found.order} × its place in the list"
    assert (found.stack, found.heap, found.grants, found.wishes) == (0, 0, 0, None)


def test_words_of_an_image_are_the_codes():
    assert tuple(re.findall(r'"(\w+)"', KEYS["grants"][0])) == manifest.GRANTS
    text = (DOCS / "sd_manifest.md").read_text()
    (modes,) = re.findall(r"A key of `fram_keys`(.*?)With `required`", text, re.DOTALL)
    assert set(coded(modes)) == set(wishes.MODES)
