# SPDX-License-Identifier: MIT
"""verify: golden verdicts, every cut, every truncation, every byte changed."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsx.errors import EBADMSG, HsxError
from hsx.image.build import build, command_section, mailbox_section, seal, value_section
from hsx.image.verify import verify
from image.cases import (
    CODE,
    GOLDEN,
    a_full_image,
    an_image,
    facts,
    judge,
    source,
)

MALFORMED = GOLDEN / "malformed"
INDEX = json.loads((MALFORMED / "index.json").read_text())
PROGRAMS = sorted((GOLDEN / "programs").glob("*.hxe"))
IMAGES = [*PROGRAMS, *(MALFORMED / name for name in INDEX)]

# What the error must name, by the start of a malformed file's name.
RULES = {
    "bss_huge": 7,
    "cmd_handler": 15,
    "cmd_twice": 18,
    "code_64k": 7,
    "code_bit": 9,
    "code_len_huge": 7,
    "code_len_odd": 8,
    "code_len_zero": 11,
    "code_ro_wrap": 7,
    "crc": 9,
    "cut_0": 1,
    "cut_100_crc": 10,
    "cut_128_crc": 13,
    "cut_308_crc": 14,
    "entry_odd": 8,
    "entry_": 11,
    "last_bit": 9,
    "magic": 6,
    "mbx_twice": 19,
    "mbx_": 15,
    "meta_in": 12,
    "meta_": 13,
    "name_latin1": 5,
    "reserved": 4,
    "ro_bss": 20,
    "ro_len": 7,
    "sec_count": 15,
    "sec_": 14,
    "str_": 15,
    "trailing": 9,
    "value_twice": 18,
    "version": 2,
}


@pytest.mark.requirement("P-24")
@pytest.mark.parametrize("name", INDEX)
def test_a_malformed_file_gets_its_verdict(name):
    verdict = judge((MALFORMED / name).read_bytes())
    assert verdict[0] == INDEX[name]["spec"]
    if verdict[0] == "reject":
        _, errno, where, rule, offset, detail = verdict
        assert (errno, where) == (EBADMSG, "verify")
        assert 1 <= rule <= 20
        assert offset >= 0
        assert detail
        expected = [
            RULES[start] for start in sorted(RULES, reverse=True) if name.startswith(start)
        ]
        if expected and not name.startswith("cut_"):
            assert rule == expected[0]


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_a_golden_header_is_read_as_the_reference_reads_it(path):
    fact = json.loads(path.with_suffix(".json").read_text())["header"]
    header, _, length = verify(source(path.read_bytes()), bytearray(64))
    assert (header.version, header.flags, header.entry) == (
        fact["version"],
        fact["flags"],
        fact["entry"],
    )
    assert (header.code_len, header.ro_len, header.bss_size) == (
        fact["code_len"],
        fact["ro_len"],
        fact["bss_size"],
    )
    assert (header.req_caps, header.crc) == (fact["req_caps"], fact["crc32"])
    assert (header.app_name, header.allow_multiple) == (
        fact["app_name"] or "",
        fact["allow_multiple_instances"],
    )
    assert (header.meta_offset, header.meta_count) == (fact["meta_offset"], fact["meta_count"])
    assert length == path.stat().st_size


@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.stem)
def test_every_single_cut_gives_the_same_verdict(path):
    image = path.read_bytes()
    whole = judge(image, len(image) + 1)
    for cut in range(1, len(image)):
        assert judge(image, len(image) + 1, [cut]) == whole


@pytest.mark.parametrize("buffer", [1, 2, 7, 64, 500])
@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.stem)
def test_every_buffer_size_gives_the_same_verdict(path, buffer):
    image = path.read_bytes()
    assert judge(image, buffer) == judge(image, len(image) + 1)


@pytest.mark.parametrize("image", [a_full_image(), an_image(), build(CODE, b"x", version=1)])
def test_every_truncation_is_refused(image):
    size = 32 if image[5] == 1 else 96
    for length in range(len(image)):
        _, errno, _, rule, offset, _ = judge(image[:length])
        expected = (1, length) if length < 32 else (3, length) if length < size else (9, 0x1C)
        assert (errno, rule, offset) == (EBADMSG, *expected)


def test_every_truncation_with_a_right_checksum_is_refused():
    image = a_full_image()
    body_end = 96 + len(CODE) + 3
    for length in range(96, len(image)):
        rule = judge(seal(image[:length]))[3]
        assert rule == (10 if length < body_end else 13 if length < body_end + 48 else 14)


def test_every_change_of_a_covered_byte_is_refused():
    image = a_full_image()
    for at in range(len(image)):
        for mask in (0x01, 0x80, 0xFF):
            changed = bytearray(image)
            changed[at] ^= mask
            verdict = judge(bytes(changed))
            if not 0x20 <= at < 0x60:
                assert verdict[:2] == ("reject", EBADMSG), at


def test_every_change_of_a_byte_under_a_right_checksum_is_refused_or_harmless():
    image = a_full_image()
    for at in range(len(image)):
        for mask in (0x01, 0x10, 0x80, 0xFF):
            changed = bytearray(image)
            changed[at] ^= mask
            judge_and_use(seal(bytes(changed)))


def judge_and_use(image: bytes) -> None:
    """Only an HsxError may come out; what is accepted can be written again and says the same."""
    try:
        header, metadata, length = verify(source(image), bytearray(64))
    except HsxError as error:
        assert error.where == "verify"
        assert error.rule
        return
    assert length == len(image)
    assert 0 <= header.entry < header.code_len
    assert header.body_end <= length
    for value in metadata.values:
        value.name, value.unit = value.name or None, value.unit or None
        value.group_name = value.group_name or None
    for command in metadata.commands:
        command.name = command.name or None
        command.group_name = command.group_name or None
    for mailbox in metadata.mailboxes:
        mailbox.reserved = None
        mailbox.from_json = True
    again = build(
        image[header.size : header.size + header.code_len],
        sections=[
            value_section(metadata.values),
            command_section(metadata.commands),
            mailbox_section(metadata.mailboxes),
        ],
    )
    metadata.values = sorted(metadata.values, key=lambda value: (value.group, value.id))
    metadata.commands = sorted(metadata.commands, key=lambda command: (command.group, command.id))
    assert facts(verify(source(again), bytearray(512))[1]) == facts(metadata)


SEEDS = [path.read_bytes() for path in IMAGES if path.stat().st_size < 600]


@given(
    st.sampled_from(SEEDS),
    st.lists(
        st.tuples(
            st.integers(0, 599),
            st.sampled_from([b"", b"\xff" * 4, b"\0", b"["]),
            st.binary(max_size=4),
        ),
        max_size=6,
    ),
    st.booleans(),
)
def test_any_mutation_is_refused_or_can_be_used(image, edits, keep_size):
    raw = bytearray(image)
    for at, first, more in edits:
        new = first + more
        raw[at : at + len(new) if keep_size else at] = new
    judge_and_use(seal(bytes(raw)))
    judge_and_use(bytes(raw))


@given(st.binary(max_size=300))
def test_any_bytes_are_judged(raw):
    judge_and_use(raw)
    judge_and_use(seal(b"HSXE\0\2\0\2" + raw.ljust(40, b"\0")))


def test_an_error_of_the_source_passes_as_it_is():
    def broken(view) -> int:
        raise OSError(5, "no card")

    with pytest.raises(OSError) as caught:
        verify(broken, bytearray(8))
    assert caught.value.errno == 5
    assert not isinstance(caught.value, HsxError)


def test_a_checksum_is_judged_before_the_length_and_both_before_the_sections():
    image = a_full_image()
    assert judge(image[:100])[3] == 9
    assert judge(seal(image[:100]))[3] == 10
    broken = bytearray(image)
    broken[-1] = 0xFF
    assert judge(bytes(broken))[3] == 9
    assert judge(seal(bytes(broken)))[3] == 15
