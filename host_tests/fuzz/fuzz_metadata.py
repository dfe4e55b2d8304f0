# SPDX-License-Identifier: MIT
"""What lies behind the body of an image, its checksum always right, into a node.

An input is offset (from the end of the body) and count of the section table, a u16 and a u8, whose
highest bit is flag bit 0 of the header, then what lies behind the body. It is refused and leaves
nothing, or the node has exactly what the sections declare, as read here from the format alone;
then it runs and is killed, and nothing is left. How the bytes were cut does not matter.
"""

import struct
from random import Random

from bench.node import NodeBench
from hsx.errors import EBADMSG, ENOENT, ENOSPC, ENOTSUP, HsxError
from hsx.image.build import HEADER_V2, info_section, manifest_section, seal
from hsx.image.verify import verify
from hsx.node.float16 import from_float
from image import cases

WATCHED = (
    *("image/sections", "image/metadata", "image/metadata_json", "image/strict_json"),
    *("image/text", "image/signature", "node/loading", "node/values", "node/commands"),
    "node/mailboxes",
    "node/wishes",
    "image/wishes",
)
WISHES = {
    "pid": 3,
    "version": "1",
    "caps": 3,
    "fram_keys": [{"key": 0x1205, "mode": "load"}, {"key": 9, "required": False}],
    "values": [{"oid": 0x102, "value": -2.5}],
    "mailboxes": ["svc:wished", "app:t"],
}
WORDS = (
    *[struct.pack(">I", kind) for kind in (1, 2, 3, 0x10, 0x11, 0x12)],
    *[f'"{key}"'.encode() for key in WISHES],
    *(b'"mode"', b'"load"', b'"save"', b'"required"', b"true", b'"oid"', b'"value"', b"1e9"),
    *(b'"target"', b'"capacity"', b'"mode_mask"', b'"bindings"', b'"owner_pid"', b'[{"', b'"}]'),
    *(b"svc:", b"app:", b"shared:", b"pid:", b"@9", b"null", b'"pid"', b'"flags"', b"\0"),
)
BODY = cases.an_image()  # without sections
AT_FLAGS = 7  # the byte of bit 0
AT_TABLE = 0x40
ENTRY = struct.Struct(">IIII")
VALUE, COMMAND = 1, 2
PERSIST = 2
DEFAULT = 64  # bytes of a mailbox


def packed(image: bytes) -> bytes:
    """The input that stands for an image with the usual body."""
    offset, count = struct.unpack_from(">II", image, AT_TABLE)
    flag = (image[AT_FLAGS] & 1) << 7
    return struct.pack(">HB", max(0, offset - len(BODY)), count | flag) + image[len(BODY) :]


def seeds() -> list[bytes]:
    many = [cases.a_value(1, n, name=None, unit=None, persist_key=0) for n in range(66)]
    boxes = [cases.a_mailbox("svc:b"), cases.a_mailbox("pid:7", capacity=0, mode=8)]
    bound = cases.a_mailbox("shared:c", bindings=[(1, 2), (3, 4)], reserved=5)
    info = info_section(cases.an_info())
    images = (
        BODY,
        cases.a_full_image(),
        cases.an_image(many),
        cases.an_image(commands=[cases.a_command(2, n, handler=0) for n in range(3)]),
        cases.an_image(mailboxes=[*boxes, bound]),
        cases.an_image([cases.a_value()], extra=[info]),
        cases.an_image([cases.a_value()], extra=[manifest_section(WISHES)], flags=1),
        cases.an_image(extra=[(0x11, bytes(72), 1), (0x77, b"unknown", 1)]),
    )
    return [packed(image) for image in images]


def make(random: Random) -> bytes:
    """Records that are mostly good, their numbers at the edges of what the fields hold."""

    def number(*edges: int) -> int:
        return random.choice((*edges, random.randrange(max(edges) + 1)))

    def text() -> str:
        return random.choice(("", "a", "v" * 40, "\u00e9", "x" * number(0, 300)))

    oids = [(random.randrange(3), random.randrange(40)) for _ in range(number(0, 3, 70))]
    values = [
        cases.a_value(
            group,
            id,
            flags=number(0, 2, 255),
            auth=number(0, 3, 255),
            init=number(0, 0xFFFF),
            persist_key=number(0, 1, 2, 0xFFFF),
            name=text() or None,
            unit=random.choice((None, "m")),
        )
        for group, id in sorted(set(oids))
    ]
    commands = [
        cases.a_command(2, id, flags=number(0, 3, 255), auth=number(0, 255), handler=number(0, 12))
        for id in range(number(0, 2, 40))
    ]
    for command in commands:
        command.handler &= ~3
    mailboxes = [
        cases.a_mailbox(
            random.choice(("svc:", "app:", "shared:", "pid:", "")) + f"b{n}",
            capacity=number(0, 64, 2000, 70000),
            mode=number(0, 8, 27, 0xFFFF),
        )
        for n in range(number(0, 2, 20))
    ]
    extra = [info_section(cases.an_info())] if random.random() < 0.3 else []
    wished = {key: WISHES[key] for key in WISHES if random.random() < 0.3}
    if random.random() < 0.3:
        extra.append(manifest_section(wished))
    flags = int(bool(extra) and extra[-1][0] == 0x12)
    return packed(cases.an_image(values, commands, mailboxes, extra=extra, flags=flags))


def image_of(data: bytes) -> bytes:
    offset, count = struct.unpack_from(">HB", data.ljust(3, b"\0"))
    raw = bytearray(BODY + data[3:])
    raw[AT_FLAGS] |= count >> 7
    count &= 0x7F
    struct.pack_into(">II", raw, AT_TABLE, len(BODY) + offset if count else 0, count)
    return seal(bytes(raw))


def declared(image: bytes) -> tuple[list, list]:
    """Values and commands that the sections of a good image declare."""
    offset, count = struct.unpack_from(">II", image, AT_TABLE)
    values, commands = [], []
    for n in range(count):
        kind, at, _, entries = ENTRY.unpack_from(image, offset + n * ENTRY.size)
        for number in range(entries if kind in (VALUE, COMMAND) else 0):
            if kind == VALUE:
                row = struct.unpack_from(">HBBH4xHHHH", image, at + 20 * number)
                oid, flags, auth, bits, epsilon, low, high, key = row
                values.append((oid, flags, auth, bits, epsilon, low, high, key))
            else:
                commands.append(struct.unpack_from(">HBBI", image, at + 16 * number))
    return values, commands


def check_registered(bench: NodeBench, pid: int, image: bytes) -> None:
    values, commands = declared(image)
    _, metadata, _ = verify(cases.source(image), bytearray(64))
    wished = metadata.wishes or {}
    begun = {item["oid"]: from_float(item["value"]) for item in wished.get("values", ())}
    loaded = {item["key"] for item in wished.get("fram_keys", ()) if item.get("mode") == "load"}
    keys: set = set()
    for index, (oid, flags, auth, bits, epsilon, low, high, key) in enumerate(values):
        row = bench.node.values.row(index)
        assert row is not None
        # A key belongs to the first value that has it; 0xFFFF is no key.
        kept = key and key != 0xFFFF and key not in keys
        flags = flags if not key else flags | PERSIST if kept else flags & ~PERSIST
        keys.add(key)
        if key in loaded:
            flags &= ~PERSIST
        bits = begun.get(oid, bits)
        assert row[:9] == (pid, oid, bits, flags, auth, epsilon, low, high, key if kept else 0)
    assert bench.node.values.row(len(values)) is None
    registry = bench.node.commands
    rows = registry.rows() if registry is not None else []
    assert [(row["oid"], row["flags"], row["auth"], row["handler"]) for row in rows] == sorted(
        commands
    )
    boxes = bench.node.mailboxes.rows() if bench.node.mailboxes is not None else []
    capacities = [record.capacity or DEFAULT for record in metadata.mailboxes]
    targets = {record.target for record in metadata.mailboxes}
    more = [target for target in wished.get("mailboxes", ()) if target not in targets]
    assert [box["capacity"] for box in boxes] == capacities + [DEFAULT] * len(more)
    for box, record in zip(boxes, metadata.mailboxes, strict=False):
        assert box["mode"] == record.mode or not record.mode
    told = [row for row in bench.node.ps() if row["pid"] == pid][0]
    assert (told["values"], told["commands"]) == (len(values), len(commands))


def run(data: bytes) -> str:
    image = image_of(data)
    verdicts = []
    for chunk in (len(image), 1 + len(data) % 40):
        bench = NodeBench(pool=16384)
        try:
            pid = bench.load(image, start=False, chunk=chunk)
        except HsxError as refused:
            assert refused.errno in (EBADMSG, ENOSPC, ENOENT, ENOTSUP)
            assert refused.where in ("write", "end", "verify")
            verdicts.append((refused.errno, refused.rule, refused.offset))
            assert bench.state() == bench.idle
            continue
        check_registered(bench, pid, image)
        bench.node.start(pid)
        bench.poll(2)
        bench.node.kill(pid)
        assert bench.state() == bench.idle
        verdicts.append(())
    assert verdicts[0] == verdicts[1]
    if verdicts[0]:
        return "refused"
    return "accepted" if len(image) > HEADER_V2 + len(BODY) else "without sections"
