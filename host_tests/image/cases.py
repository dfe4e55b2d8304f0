# SPDX-License-Identifier: MIT
"""What the tests of the image layer arrange with and compare by."""

import os
import pathlib

from hypothesis import strategies as st

from hsx.errors import HsxError
from hsx.image import header as hxe
from hsx.image.build import build, command_section, mailbox_section, value_section
from hsx.image.metadata import Command, Info, Mailbox, Value
from hsx.image.sections import MetadataReader
from hsx.image.verify import verify

GOLDEN = pathlib.Path(
    os.environ.get("HSX_GOLDEN", pathlib.Path(__file__).parent.parent / "golden")
)
CODE = bytes.fromhex("0100002a25000000") * 2  # LDI R0, 42; RET, twice


def a_value(group=1, id=2, **more) -> Value:
    fields = {
        "flags": 2,
        "auth": 1,
        "init": 0x3C00,
        "name": "speed",
        "unit": "rpm",
        "epsilon": 0x3800,
        "min": 0,
        "max": 0x5640,
        "persist_key": 0x1205,
        "group_name": "drive",
    }
    return Value(group, id, **{**fields, **more})


def a_command(group=1, id=7, **more) -> Command:
    fields = {
        "flags": 1,
        "auth": 2,
        "handler": 8,
        "name": "reset",
        "help": "stop and clear",
        "group_name": "drive",
    }
    return Command(group, id, **{**fields, **more})


def a_mailbox(target="app:t", **more) -> Mailbox:
    fields = {
        "capacity": 96,
        "mode": 27,
        "owner_pid": None,
        "bindings": [],
        "reserved": None,
        "from_json": True,
    }
    return Mailbox(target, **{**fields, **more})


def an_info(**more) -> Info:
    fields = {"version": "1.2.3", "epoch": 7, "abi": 0x10000, "stack": 512, "heap": 64}
    return Info(**{**fields, **more})


def an_image(values=(), commands=(), mailboxes=(), *, extra=(), rodata=b"hi\0", **more) -> bytes:
    """An image with these records, then the `extra` sections (type, payload, count)."""
    sections = [
        value_section(values),
        command_section(commands),
        mailbox_section(mailboxes),
        *extra,
    ]
    return build(CODE, rodata, name=more.pop("name", "app"), sections=sections, **more)


def a_full_image() -> bytes:
    return an_image([a_value(), a_value(id=3, unit=None)], [a_command()], [a_mailbox()])


def source(image: bytes, pieces=()):
    """A readinto over `image`; `pieces`: at most so many bytes in the first calls."""
    at = 0
    left = list(pieces)

    def readinto(view) -> int:
        nonlocal at
        count = min(len(view), len(image) - at)
        if left:
            count = min(count, left[0])
            left[0] -= count
            if not left[0]:
                left.pop(0)
        view[:count] = image[at : at + count]
        at += count
        return count

    return readinto


def facts(metadata) -> tuple:
    """All that a Metadata says, comparable; the sections' places are not part of it."""
    return (
        [vars(value) for value in metadata.values],
        [vars(command) for command in metadata.commands],
        [vars(mailbox) for mailbox in metadata.mailboxes],
    )


def judge(image: bytes, buffer: int = 64, pieces=()) -> tuple:
    """What verify() says: ("accept", header, sections, facts, length), or ("reject", ..)."""
    try:
        header, metadata, length = verify(source(image, pieces), bytearray(buffer))
    except HsxError as error:
        return "reject", error.errno, error.where, error.rule, error.offset, error.detail
    return "accept", vars(header), metadata.sections, facts(metadata), length


def read(image: bytes, limit: int = 8192, cuts=()) -> object:
    """The Metadata of `image`, without checksum; the bytes come in pieces cut at `cuts`, in a
    buffer that is wiped after each."""
    header = hxe.parse(image[: hxe.needed(image, len(image))])
    reader = MetadataReader(header, limit)
    edges = sorted({header.body_end, len(image), *cuts})
    edges = [edge for edge in edges if header.body_end <= edge <= len(image)]
    for start, end in zip(edges, edges[1:], strict=False):
        piece = bytearray(image[start:end])
        reader.write(start, memoryview(piece))
        piece[:] = b"\xaa" * len(piece)
    return reader.end(len(image))


def refused(call, *args, **more) -> HsxError:
    """The HsxError that a call ends with."""
    try:
        result = call(*args, **more)
    except HsxError as error:
        return error
    raise AssertionError(f"accepted: {result!r}")


_bytes = st.integers(0, 0xFF)
_words = st.integers(0, 0xFFFF)
_texts = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12
)
_names = st.none() | _texts

values = st.lists(
    st.builds(
        Value,
        _bytes,
        _bytes,
        _bytes,
        _bytes,
        _words,
        _names,
        _names,
        _words,
        _words,
        _words,
        _words,
        _names,
    ),
    max_size=6,
    unique_by=lambda value: (value.group, value.id),
)
commands = st.lists(
    st.builds(
        Command,
        _bytes,
        _bytes,
        _bytes,
        _bytes,
        st.sampled_from(range(0, len(CODE), 4)),
        _names,
        _texts | st.just(""),
        _names,
    ),
    max_size=6,
    unique_by=lambda command: (command.group, command.id),
)
mailboxes = st.lists(
    st.builds(
        Mailbox,
        st.sampled_from(["", "svc:", "app:", "shared:"]).flatmap(
            lambda prefix: st.integers(0, 999).map(lambda number: f"{prefix}é{number}")
        ),
        st.integers(0, 70000),
        st.integers(1, 0xFFFF),
        st.none() | st.integers(0, 32),
        st.lists(st.tuples(st.integers(0, 32), _words), max_size=3),
        st.none() | st.integers(0, 2**40) | st.lists(st.booleans(), max_size=3),
        st.just(True),
    ),
    max_size=5,
    unique_by=lambda box: box.target.removeprefix("svc:"),
)
