# SPDX-License-Identifier: MIT
"""Manifests of a card: the first byte says which form (odd: TOML), the rest is the text.

What is accepted keeps every limit of the schema, and the same list comes out of both forms when
it is written down again. What is refused is EBADMSG or ENOSPC and names a line of the text.
"""

import json
from random import Random

from hsx.errors import EBADMSG, ENOSPC, HsxError
from hsx.image.manifest import MANIFEST_MAX, Entry, parse_manifest

WATCHED = ("image/manifest", "image/toml", "image/strict_json", "image/text")
NAMES = ("a.hxe", "apps/b.hxe", "\u00e9 x.hxe", "n" * 128, "a/b/c/d")
BAD_NAMES = ("", "n" * 129, "c/../d", "a//b", "C:x", "tab\t", "/a")
KEYS = ("file", "order", "version", "sha256", "priority", "quantum", "stack")
WORDS = (
    *[key.encode() for key in (*KEYS, "schema", "image", "true", "false", "null")],
    *(b"[[image]]\n", b"schema = 1\n", b' = "', b'"\n', b" = 1\n", b"'", b'"""', b"#", b"\r\n"),
    *(b"\\u00e9", b"\\U0001F600", b"\\", b"\xc3\xa9", b"\xff", b"1e9", b"0x1F", b"-1", b"1_0"),
    *(
        b'{"schema": 1, "image": [',
        b"]}",
        b'{"file": "a.hxe"}',
        b",",
        b"a/b.hxe",
        b"../",
        b"9" * 20,
    ),
)

TOML = b"""\xef\xbb\xbfschema = 1
# a card
[[image]]
file = "hello.hxe"
order = 0x10
version = "1.0.0"
sha256 = "%s"
priority = 10
quantum = 1_000
stack = 1536

[[image]]
file = 'apps/caf\xc3\xa9.hxe'
""" % (b"5a" * 32)
JSON = {
    "schema": 1,
    "image": [
        {"file": "hello.hxe", "order": -5, "version": "\u00e9", "sha256": "A5" * 32},
        {"file": "apps/b.hxe", "priority": 0, "quantum": 100, "stack": 0xBFFC},
    ],
}


def seeds() -> list[bytes]:
    return [
        b"\x01" + TOML,
        b"\x01schema = 1\nimage = [{file = \"a.hxe\", order = 1}, {file = 'b'}]\n",
        b'\x01schema = 1\n[[image]]\nfile = "\\u00e9\\t.hxe"\n[[image]]\nfile = """\na"""\n',
        b"\x00" + json.dumps(JSON).encode(),
        b"\x00" + json.dumps(JSON, ensure_ascii=False, indent=1).encode(),
        b'\x00{"schema": 1}',
        b"\x01schema = 1",
    ]


def make(random: Random) -> bytes:
    """A list that is mostly good, in either form."""
    entries = []
    for place in range(random.choice((0, 1, 1, 2, 5, 20))):
        bad = random.choice(KEYS) if random.random() < 0.1 else ""  # what breaks its limit
        entry = Entry(random.choice(BAD_NAMES if bad == "file" else NAMES), place + 1)
        entry.order = random.choice((entry.order, 0, -5, 1 << 29)) + (bad == "order")
        entry.version = random.choice(("", "1.0", "v" * random.randrange(33), '"\\\t'))
        entry.version += "v" * 33 if bad == "version" else ""
        entry.sha256 = random.choice((None, random.randbytes(32)))
        entry.priority = random.randrange(256) + 256 * (bad == "priority")
        entry.quantum = random.choice((100, 1000, (1 << 30) - 1)) if bad != "quantum" else 99
        entry.stack = random.choice((0, 1536, 0xBFFC)) if bad != "stack" else 0xBFFD
        entries.append(entry)
    is_toml = random.random() < 0.5
    return bytes([is_toml]) + (as_toml if is_toml else as_json)(entries)


def facts(entry: Entry) -> tuple:
    return tuple(getattr(entry, key) for key in KEYS)


def check(entry: Entry) -> None:
    """The table at the top of image/manifest.py."""
    parts = entry.file.split("/")
    assert len(entry.file) <= 128 and not {"", ".", ".."} & set(parts)
    assert not any(char < " " or char in '\\:*?"<>|\x7f' for char in entry.file)
    assert len(entry.version) <= 32
    assert entry.sha256 is None or len(entry.sha256) == 32
    assert 0 <= entry.priority <= 255 and 100 <= entry.quantum < 1 << 30
    assert 0 <= entry.stack <= 0xBFFC and -(1 << 29) <= entry.order <= 1 << 29
    for number in (entry.priority, entry.quantum, entry.stack, entry.order):
        assert number.__class__ is int


def as_json(entries: list[Entry]) -> bytes:
    listed = []
    for entry in entries:
        table = {key: getattr(entry, key) for key in KEYS if key != "sha256"}
        if entry.sha256 is not None:
            table["sha256"] = entry.sha256.hex()
        listed.append(table)
    return json.dumps({"schema": 1, "image": listed}).encode()


def as_toml(entries: list[Entry]) -> bytes:
    lines = ["schema = 1"]
    for entry in entries:
        lines.append("[[image]]")
        for key in KEYS:
            value = getattr(entry, key)
            if isinstance(value, str):
                # What JSON escapes is what TOML does, but for 0x7F.
                text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
                lines.append(f"{key} = {text}")
            elif value is not None:
                lines.append(f"{key} = {value if key != 'sha256' else json.dumps(value.hex())}")
    return "\n".join(lines).encode()


def run(data: bytes) -> str:
    is_toml = bool(data[:1] and data[0] & 1)
    text = data[1:]
    try:
        entries = parse_manifest(text, is_toml)
    except HsxError as refused:
        assert refused.errno in (EBADMSG, ENOSPC) and refused.where == "begin" and refused.detail
        assert -1 <= refused.offset <= text.count(b"\n") + 1
        return "refused"
    assert len(text) <= MANIFEST_MAX + 3
    assert [entry.order for entry in entries] == sorted(entry.order for entry in entries)
    assert sorted(entry.place for entry in entries) == list(range(1, len(entries) + 1))
    for entry in entries:
        check(entry)
    for again, form in ((as_toml(entries), True), (as_json(entries), False)):
        if len(again) <= MANIFEST_MAX:
            listed = parse_manifest(again, form)
            assert [facts(entry) for entry in listed] == [facts(entry) for entry in entries]
    return "accepted" if entries else "empty"
