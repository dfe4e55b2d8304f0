# SPDX-License-Identifier: MIT
"""header: every rule that the header alone can break, its number, its field, its turn."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsx.errors import EBADMSG, HsxError
from hsx.image import header as hxe
from hsx.image.build import build
from image.cases import CODE, an_image, refused


def a_header(**fields) -> bytes:
    """96 bytes of a good header, with fields given as (offset, struct form, value)."""
    head = bytearray(an_image()[:96])
    for offset, form, value in fields.values():
        struct.pack_into(form, head, offset, value)
    return bytes(head)


# In the order in which they are judged: rule, field broken, offset that the error names.
BROKEN = [
    (2, (0x04, ">H", 3), 0x04),
    (4, (0x50, "B", 1), 0x50),
    (5, (0x21, "B", 0x80), 0x21),
    (6, (0x00, "B", 0), 0x00),
    (7, (0x14, ">I", 0x10001), 0x14),
    (8, (0x0C, ">I", 6), 0x0C),
    (11, (0x08, ">I", 0x100), 0x08),
    (12, (0x40, ">I", 1), 0x40),
    (20, (0x10, ">I", 0xAFFD), 0x10),
]


@pytest.mark.parametrize(("rule", "field", "offset"), BROKEN)
def test_a_broken_rule_is_named_with_its_field(rule, field, offset):
    error = refused(hxe.parse, a_header(field=field))
    assert (error.errno, error.where, error.rule, error.offset) == (EBADMSG, "write", rule, offset)
    assert error.detail


@pytest.mark.parametrize("first", range(len(BROKEN)))
def test_of_two_broken_rules_the_earlier_one_is_named(first):
    for later in range(first + 1, len(BROKEN)):
        head = a_header(one=BROKEN[first][1], other=BROKEN[later][1])
        assert refused(hxe.parse, head).rule == BROKEN[first][0]


@pytest.mark.parametrize(
    ("offset", "value", "rule"),
    [
        (0x04, 0, 2),
        (0x04, 0xFFFF, 2),
        (0x0C, 0xFFFFFFFC, 7),
        (0x10, 0xFFFFFFFF, 7),
        (0x0C, 0x10004, 7),
        (0x0C, 0, 11),
        (0x08, 2, 8),
        (0x08, len(CODE), 11),
        (0x08, 0xFFFFFFFC, 11),
        (0x14, 0xB000, 20),
        (0x40, 0x60, 12),
        (0x40, 0x60 + len(CODE) + 2, 12),
    ],
)
def test_values_at_and_beyond_a_limit_are_refused(offset, value, rule):
    form = ">H" if offset == 4 else ">I"
    assert refused(hxe.parse, a_header(field=(offset, form, value))).rule == rule


@pytest.mark.parametrize(
    ("offset", "value"),
    [
        (0x0C, 0x10000),
        (0x10, 0xAFFC),
        (0x14, 0xAFFC - 3),
        (0x08, len(CODE) - 4),
        (0x40, 0x60 + len(CODE) + 3),
        (0x40, 0xFFFFFFFF),
        (0x44, 0xFFFFFFFF),
        (0x18, 0xFFFFFFFF),
        (0x1C, 0),
    ],
)
def test_values_at_a_limit_are_taken(offset, value):
    hxe.parse(a_header(field=(offset, ">I", value)))


@pytest.mark.parametrize("size", range(96))
def test_a_header_that_is_cut_is_short(size):
    error = refused(hxe.parse, a_header()[:size])
    assert (error.rule, error.offset) == (1 if size < 32 else 3, size)


@pytest.mark.parametrize("size", range(32))
def test_a_header_of_version_1_that_is_cut_is_short(size):
    error = refused(hxe.parse, build(CODE, version=1)[:size])
    assert (error.rule, error.offset) == (1, size)


def test_needed_says_32_until_the_version_is_known():
    assert [hxe.needed(a_header(), have) for have in range(97)] == [32] * 6 + [96] * 91
    first = build(CODE, version=1)
    assert [hxe.needed(first, have) for have in range(33)] == [32] * 33
    assert hxe.needed(a_header(field=(4, ">H", 0x0102)), 96) == 32


def test_version_1_has_defaults_for_what_it_lacks():
    header = hxe.parse(build(CODE, b"abc", version=1, flags=1, req_caps=5, entry=4))
    assert (header.version, header.size, header.body_end) == (1, 32, 32 + len(CODE) + 3)
    assert (header.app_name, header.meta_offset, header.meta_count) == ("", 0, 0)
    assert header.allow_multiple and not header.manifest_present
    assert (header.entry, header.req_caps, header.flags) == (4, 5, 1)


@pytest.mark.parametrize("flags", [0, 1, 2, 3, 0xFFFC, 0xFFFF])
def test_flags_say_manifest_and_instances_and_unknown_bits_are_kept(flags):
    header = hxe.parse(an_image(flags=flags)[:96])
    assert header.flags == flags
    assert header.manifest_present == bool(flags & 1)
    assert header.allow_multiple == bool(flags & 2)


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"", ""),
        (b"motor", "motor"),
        (b"  motor \t", "motor"),
        (b"   ", ""),
        (b"A" * 32, "A" * 31),
        (b" " + b"A" * 31, "A" * 31),
        (b"A" * 31 + b" ", "A" * 31),
        (b"a/../b", "a/../b"),
        (b"a\0\xff\xfe", "a"),
        (b"\0motor", ""),
        (b"a\x1c", "a\x1c"),
    ],
)
def test_the_name_ends_at_a_nul_is_stripped_and_cut_to_31(raw, name):
    assert hxe.parse(a_header(field=(0x20, "32s", raw))).app_name == name


@pytest.mark.parametrize("at", range(0x20, 0x40))
def test_no_character_of_a_name_may_leave_ascii(at):
    head = bytearray(a_header(field=(0x20, "32s", b"A" * 32)))
    head[at] = 0xC3
    assert refused(hxe.parse, head).offset == at


@pytest.mark.parametrize("at", range(0x48, 0x60))
def test_no_reserved_byte_may_be_set(at):
    error = refused(hxe.parse, a_header(field=(at, "B", 0x80)))
    assert (error.rule, error.offset) == (4, at)


@given(st.binary(max_size=128), st.sampled_from([b"HSXE\0\1", b"HSXE\0\2", b""]))
def test_any_bytes_are_a_header_or_an_error_within_it(raw, start):
    raw = start + raw
    try:
        header = hxe.parse(raw)
    except HsxError as error:
        assert error.errno == EBADMSG
        assert 0 <= error.offset <= 96
    else:
        assert header.body_end <= 96 + 0x20000
