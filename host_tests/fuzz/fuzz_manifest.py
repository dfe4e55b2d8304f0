# SPDX-License-Identifier: MIT
"""Manifests of a card: the first byte says which form (odd: TOML), the rest is the text.

What is accepted keeps every limit of the schema, and the same comes out of both forms when it is
written down again. Then an image is loaded as each entry says: it is refused, or runs and is
killed, and leaves nothing. A text that is refused is EBADMSG or ENOSPC and names a line.
"""

import json
import math
from random import Random
from typing import Any

from bench.apps import an_app
from bench.node import NodeBench
from hsx.errors import EBADMSG, ENOENT, ENOSPC, ENOTSUP, HsxError
from hsx.image import wishes
from hsx.image.manifest import GRANTS, MANIFEST_MAX, Entry, Manifest, parse_manifest

WATCHED = (
    *("image/manifest", "image/wishes", "image/toml", "image/strict_json", "image/text"),
    *("node/wishes", "node/loading"),
)
NAMES = ("a.hxe", "apps/b.hxe", "\u00e9 x.hxe", "n" * 128, "a/b/c/d")
BAD_NAMES = ("", "n" * 129, "c/../d", "a//b", "C:x", "tab\t", "/a")
NUMBERS = ("order", "priority", "quantum", "stack", "heap")
KEYS = ("file", "version", "sha256", "grants", *NUMBERS)
LISTED = 16  # entries that an image is loaded for
APP = an_app()
WORDS = (
    *[key.encode() for key in (*KEYS, *wishes.KEYS, "schema", "image", "true", "null")],
    *[word.encode() for word in (*wishes.MODES, *GRANTS, "key", "mode", "required", "oid")],
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
        {
            "file": "c.hxe",
            "grants": ["load", "fmap"],
            "heap": 64,
            "pid": 3,
            "pid_fixed": True,
            "caps": 3,
            "fram_keys": [{"key": 7, "mode": "load"}, {"key": 8, "required": True}],
            "values": [{"oid": 257, "value": 2.5}, {"oid": 258, "value": -1e3}],
            "mailboxes": ["svc:a", "app:b"],
        },
    ],
    "epoch": 5,
    "nodes": [1, 126],
}
WISHES = b"""schema = 1
epoch = 0xFFFF_FFFF
nodes = [1, 126]
[[image]]
file = "c.hxe"
grants = ["load", "abort"]
pid = 32
values = [{oid = 257, value = 2.5}, {oid = 0, value = inf}]
[[image.fram_keys]]
key = 7
mode = "loadsave"
"""


def seeds() -> list[bytes]:
    return [
        b"\x01" + TOML,
        b"\x01" + WISHES,
        b"\x01schema = 1\nimage = [{file = \"a.hxe\", order = 1}, {file = 'b'}]\n",
        b'\x01schema = 1\n[[image]]\nfile = "\\u00e9\\t.hxe"\n[[image]]\nfile = """\na"""\n',
        b"\x00" + json.dumps(JSON).encode(),
        b"\x00" + json.dumps(JSON, ensure_ascii=False, indent=1).encode(),
        b'\x00{"schema": 1}',
        b"\x01schema = 1",
    ]


def make(random: Random) -> bytes:
    """A list that is mostly good, in either form."""
    manifest = Manifest()
    manifest.epoch = random.choice((0, 0, 1, 0xFFFFFFFF))
    manifest.nodes = random.choice(([], [], [1], [126, 1]))
    for place in range(random.choice((0, 1, 1, 2, 5, 20))):
        bad = random.choice(KEYS) if random.random() < 0.1 else ""  # what breaks its limit
        entry = Entry(random.choice(BAD_NAMES if bad == "file" else NAMES), place + 1)
        entry.order = random.choice((entry.order, 0, -5, 1 << 29)) + (bad == "order")
        entry.version = random.choice(("", "1.0", "v" * random.randrange(33), '"\\\t'))
        entry.version = "v" * 33 if bad == "version" else entry.version
        entry.sha256 = random.choice((None, random.randbytes(32)))
        entry.priority = random.randrange(256) + 256 * (bad == "priority")
        entry.quantum = random.choice((100, 1000, (1 << 30) - 1)) if bad != "quantum" else 99
        entry.stack = random.choice((0, 1536, 0xBFFC)) if bad != "stack" else 0xBFFD
        entry.heap = random.choice((0, 64, 0xBFFC)) if bad != "heap" else -1
        entry.grants = random.randrange(8)
        entry.wishes = some_wishes(random, bad == "grants")
        manifest.entries.append(entry)
    is_toml = random.random() < 0.5
    return bytes([is_toml]) + (as_toml if is_toml else as_json)(manifest)


def some_wishes(random: Random, bad: bool) -> dict | None:
    keys = [
        {"key": random.choice((1, 7, 0xFFFE + bad)), "mode": random.choice(wishes.MODES)},
        {"key": 8, "required": random.random() < 0.3},
    ]
    numbers = (0, -1, 2.5, 1e-8, 65520, 1e300, 10**30)
    values = [{"oid": random.choice((0x101, 0x102)), "value": random.choice(numbers)}]
    every = {
        "pid": random.choice((1, 2, 32 + bad)),
        "pid_fixed": random.random() < 0.5,
        "caps": random.choice((0, 3, 4, 0xFFFF)),
        "fram_keys": keys[: random.randrange(3)],
        "values": values * random.randrange(3),
        "mailboxes": [random.choice(("svc:a", "app:b", "c", "pid:9"))] * random.randrange(3),
    }
    return {key: every[key] for key in every if random.random() < 0.3} or None


def facts(manifest: Manifest) -> str:
    """Everything that a manifest says; as text, because a NaN is not equal to itself."""
    entries = []
    for entry in manifest.entries:
        wished = sorted((entry.wishes or {}).items())
        entries.append(([getattr(entry, key) for key in KEYS], wished))
    return repr((manifest.epoch, manifest.nodes, entries))


def check(entry: Entry) -> None:
    """The tables of docs/sd_manifest.md and image/wishes.py."""
    parts = entry.file.split("/")
    assert len(entry.file) <= 255 and not {"", ".", ".."} & set(parts)
    assert not any(char < " " or char in '\\:*?"<>|\x7f' for char in entry.file)
    assert len(entry.version) <= 32
    assert entry.sha256 is None or len(entry.sha256) == 32
    assert 0 <= entry.priority <= 255 and 100 <= entry.quantum < 1 << 30
    assert 0 <= entry.stack <= 0xBFFC and 0 <= entry.heap <= 0xBFFC
    assert -(1 << 29) <= entry.order <= 1 << 29 and 0 <= entry.grants < 8
    for key in NUMBERS:
        assert getattr(entry, key).__class__ is int
    wished = entry.wishes or {}
    assert set(wished) <= set(wishes.KEYS) - {"version"}
    assert 1 <= wished.get("pid", 1) <= 32 and 0 <= wished.get("caps", 0) <= 0xFFFF
    assert wished.get("pid_fixed", True) in (True, False)
    for item in wished.get("fram_keys", ()):
        assert 1 <= item["key"] <= 0xFFFE and item.get("mode", "load") in wishes.MODES
        assert item.get("required", True) in (True, False)
    for item in wished.get("values", ()):
        assert 0 <= item["oid"] <= 0xFFFF and isinstance(item["value"], int | float)
    for target in wished.get("mailboxes", ()):
        assert 1 <= len(target) <= 32
    for name in ("fram_keys", "values", "mailboxes"):
        assert len(wished.get(name, ())) <= 64


def use(entry: Entry) -> None:
    """Loads an image as the scan of a card does."""
    bench = NodeBench(pool=16384)
    options: dict[str, Any] = {key: getattr(entry, key) for key in NUMBERS if key != "order"}
    wished = entry.wishes or {}
    options.update(grants=entry.grants, wishes=entry.wishes, pid=wished.get("pid", 0) % 9)
    try:
        pid = bench.load(APP, chunk=len(APP), **options)
    except HsxError as refused:
        assert refused.errno in (EBADMSG, ENOSPC, ENOENT, ENOTSUP)
    else:
        asked = {box.rpartition(":")[2] for box in wished.get("mailboxes", ())}
        assert len(bench.node.ps()) == 1 and (not asked or bench.node.mailboxes.rows())
        bench.poll(2)
        bench.node.kill(pid)
    assert bench.state() == bench.idle


def tables(manifest: Manifest) -> list[dict]:
    listed = []
    for entry in manifest.entries:
        table = {key: getattr(entry, key) for key in ("file", "version", *NUMBERS)}
        if entry.sha256 is not None:
            table["sha256"] = entry.sha256.hex()
        table["grants"] = [name for n, name in enumerate(GRANTS) if entry.grants >> n & 1]
        listed.append({**table, **(entry.wishes or {})})
    return listed


def as_json(manifest: Manifest) -> bytes:
    root = {"schema": 1, "epoch": manifest.epoch, "nodes": manifest.nodes}
    return json.dumps({**root, "image": tables(manifest)}).encode()


def toml(value: Any) -> str:
    """A value as TOML: what JSON escapes is what TOML does, but for 0x7F."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def as_toml(manifest: Manifest) -> bytes:
    lines = ["schema = 1", f"epoch = {manifest.epoch}", f"nodes = {manifest.nodes}"]
    for table in tables(manifest):
        lines += ["[[image]]", *[f"{key} = {toml(value)}" for key, value in table.items()]]
    return "\n".join(lines).encode()


def is_finite(manifest: Manifest) -> bool:
    items = [item for entry in manifest.entries for item in (entry.wishes or {}).get("values", ())]
    return all(isinstance(item["value"], int) or math.isfinite(item["value"]) for item in items)


def run(data: bytes) -> str:
    is_toml = bool(data[:1] and data[0] & 1)
    text = data[1:]
    try:
        manifest = parse_manifest(text, is_toml)
    except HsxError as refused:
        assert refused.errno in (EBADMSG, ENOSPC) and refused.where == "begin" and refused.detail
        assert -1 <= refused.offset <= text.count(b"\n") + 1
        return "refused"
    entries = manifest.entries
    assert len(text) <= MANIFEST_MAX + 3
    assert 0 <= manifest.epoch < 1 << 32 and all(1 <= node <= 126 for node in manifest.nodes)
    assert [entry.order for entry in entries] == sorted(entry.order for entry in entries)
    assert sorted(entry.place for entry in entries) == list(range(1, len(entries) + 1))
    forms = [(as_toml(manifest), True)]
    if is_finite(manifest):
        forms.append((as_json(manifest), False))
    for again, form in forms:
        if len(again) <= MANIFEST_MAX:
            assert facts(parse_manifest(again, form)) == facts(manifest)
    for entry in entries:
        check(entry)
    for entry in entries[:LISTED]:
        use(entry)
    return "accepted" if entries else "empty"
