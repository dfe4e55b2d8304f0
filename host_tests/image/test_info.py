# SPDX-License-Identifier: MIT
"""info: what an image says of itself, and docs/hxe_format.md."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docs.hxe_format import fields
from hsx.errors import EBADMSG
from hsx.image import header as hxe
from hsx.image.build import build, info_section
from hsx.image.metadata import Info
from hsx.image.sections import MetadataReader
from image.cases import CODE, a_value, an_image, an_info, read, refused

PAYLOAD = 96 + len(CODE) + 16  # of the only section of a built image without rodata


def with_payload(payload: bytes, count: int = 1) -> bytes:
    return build(CODE, sections=[(0x10, payload, count)])


_u16 = st.integers(0, 0xFFFF)
_u32 = st.integers(0, 0xFFFFFFFF)
versions = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=16
).filter(lambda text: len(text.encode()) <= 16)


@given(versions, _u32, _u32, _u16, _u16, st.lists(st.integers(0, 200), max_size=9))
def test_what_is_written_is_what_is_read_however_it_is_cut(version, epoch, abi, stack, heap, cuts):
    info = Info(version, epoch, abi, stack, heap)
    image = an_image([a_value()], extra=[info_section(info)])
    found = read(image, cuts=cuts)
    assert vars(found.info) == vars(info)
    assert [value.name for value in found.values] == ["speed"]


def test_an_image_without_the_section_says_nothing():
    assert read(an_image([a_value()])).info is None


def test_bytes_behind_the_entry_are_left_to_later_versions():
    payload = info_section(an_info())[1]
    assert vars(read(with_payload(payload + b"later")).info) == vars(an_info())


def test_every_shorter_payload_is_refused():
    payload = info_section(an_info())[1]
    for size in range(1, len(payload)):
        error = refused(read, with_payload(payload[:size]))
        assert (error.errno, error.rule, error.offset) == (EBADMSG, 15, PAYLOAD)


@pytest.mark.parametrize("count", [0, 2, 0xFFFFFFFF])
def test_it_has_one_entry(count):
    error = refused(read, with_payload(info_section(an_info())[1] * 3, count))
    assert (error.errno, error.rule) == (EBADMSG, 15)


def test_a_second_one_is_refused():
    twice = build(CODE, sections=[info_section(an_info())] * 2)
    error = refused(read, twice)
    assert (error.errno, error.rule) == (EBADMSG, 15)
    assert "more than one" in error.detail


def test_a_version_that_is_no_text_is_refused():
    payload = b"\xff" + info_section(an_info())[1][1:]
    assert refused(read, with_payload(payload)).detail == "version is not UTF-8"


@pytest.mark.parametrize(
    "info",
    [
        an_info(version="x" * 17),
        an_info(version="é" * 9),
        an_info(version="1\0"),
        an_info(epoch=1 << 32),
        an_info(epoch=-1),
        an_info(stack=1 << 16),
        an_info(heap=1 << 16),
        an_info(abi=1 << 32),
    ],
    ids=["long", "long in UTF-8", "NUL", "epoch", "epoch below 0", "stack", "heap", "ABI"],
)
def test_what_has_no_encoding_is_refused(info):
    with pytest.raises(ValueError):
        info_section(info)


@pytest.mark.parametrize(
    ("sections", "hint"),
    [
        ((), 0),
        ((info_section(an_info(stack=700)),), 700),
        (((0x77, b"future", 1), info_section(an_info(stack=0xFFFF))), 0xFFFF),
        (((0x10, b"short", 1),), 0),
    ],
)
def test_the_stack_is_known_before_the_image_is_judged(sections, hint):
    image = an_image([a_value()], extra=sections)
    header = hxe.parse(image[:96])
    reader = MetadataReader(header)
    reader.write(header.body_end, memoryview(image)[header.body_end :])
    assert reader.memory_hints()[0] == hint


def test_a_reader_without_memory_knows_no_stack():
    image = an_image(extra=[info_section(an_info())])
    header = hxe.parse(image[:96])
    reader = MetadataReader(header, limit=20)
    reader.write(header.body_end, memoryview(image)[header.body_end :])
    assert reader.memory_hints() == (0, 0)


def test_the_document_says_where_every_field_is():
    payload = info_section(Info("v1", 0x01020304, 0x00050006, 0x0708, 0x090A))[1]
    said = fields("`info`", payload)
    assert said == {
        "version": "v1",
        "epoch": 0x01020304,
        "abi_major": 5,
        "abi_minor": 6,
        "stack": 0x0708,
        "heap": 0x090A,
    }
