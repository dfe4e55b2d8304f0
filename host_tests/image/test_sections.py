# SPDX-License-Identifier: MIT
"""sections: table and bounds, however the bytes come, in bounded memory."""

import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsx.errors import EBADMSG, ENOSPC
from hsx.image import header as hxe
from hsx.image.build import build, command_section, mailbox_section, value_section
from hsx.image.sections import MetadataReader
from image.cases import (
    CODE,
    a_command,
    a_full_image,
    a_mailbox,
    a_value,
    an_image,
    facts,
    read,
    refused,
)

TABLE = 96 + len(CODE) + 3  # where an_image() has its table


def patched(image: bytes, offset: int, *words: int) -> bytes:
    raw = bytearray(image)
    struct.pack_into(f">{len(words)}I", raw, offset, *words)
    return bytes(raw)


def hand_made(*pieces: bytes, table_at: int, count: int) -> bytes:
    """An image whose table is at `table_at`, its metadata given as raw bytes."""
    return patched(build(CODE) + b"".join(pieces), 0x40, table_at, count)


def entry(kind: int, offset: int, payload: bytes, count: int = 1) -> bytes:
    return struct.pack(">IIII", kind, offset, len(payload), count)


@pytest.mark.requirement("P-30")
def test_records_come_out_as_they_went_in():
    metadata = read(a_full_image())
    assert facts(metadata) == (
        [vars(a_value()), vars(a_value(id=3, unit=None))],
        [vars(a_command())],
        [vars(a_mailbox())],
    )
    assert [(kind, count) for kind, _, _, count in metadata.sections] == [(1, 2), (2, 1), (3, 1)]


def test_every_cut_in_two_and_every_byte_alone_give_the_same():
    image = a_full_image()
    whole = read(image)
    for cuts in [*((at,) for at in range(TABLE, len(image))), range(len(image))]:
        metadata = read(image, cuts=cuts)
        assert (facts(metadata), metadata.sections) == (facts(whole), whole.sections)


@given(st.lists(st.integers(TABLE, 600)))
def test_any_cuts_give_the_same(cuts):
    image = a_full_image()
    assert facts(read(image, cuts=cuts)) == facts(read(image))


@pytest.mark.parametrize("fields", [(0, 3), (0, 0), (TABLE, 0)])
def test_without_table_or_without_entries_there_is_no_metadata(fields):
    metadata = read(patched(a_full_image(), 0x40, *fields))
    assert facts(metadata) == ([], [], [])
    assert not metadata.sections


def test_every_truncation_behind_the_body_is_refused():
    image = a_full_image()
    for length in range(TABLE, len(image)):
        error = refused(read, image[:length])
        rule = 13 if length < TABLE + 48 else 14
        assert (error.errno, error.where, error.rule) == (EBADMSG, "end", rule), length


def test_bytes_behind_the_last_section_are_nobodys():
    assert facts(read(a_full_image() + bytes(100))) == facts(read(a_full_image()))


@pytest.mark.parametrize("count", [4, 0x1000, 0x0FFFFFFF, 0x10000000, 0xFFFFFFFF])
def test_a_table_that_goes_on_behind_the_end_is_refused(count):
    error = refused(read, patched(a_full_image()[: TABLE + 50], 0x44, count))
    assert (error.errno, error.rule, error.offset) == (EBADMSG, 13, 0x40)


@pytest.mark.parametrize("offset", [0xFFFFFFFF, 0xFFFFFFF0, 0x80000000, 5000])
def test_a_table_behind_the_end_is_refused(offset):
    assert refused(read, patched(a_full_image(), 0x40, offset)).rule == 13


@pytest.mark.parametrize("kind", [1, 2, 3, 0, 0x10, 0xFFFFFFFF])
@pytest.mark.parametrize(
    ("offset", "size"),
    [
        (0, 0),
        (0, 4),
        (95, 4),
        (96, 4),
        (TABLE - 1, 4),
        (TABLE - 4, 4),
        (0xFFFFFFFF, 1),
        (0xFFFFFFFC, 8),
        (TABLE, 0xFFFFFFFF),
        (TABLE, 0xFFFFFFFF - TABLE + 2),
        (1 << 31, 1 << 31),
    ],
)
def test_no_section_may_leave_the_image_or_lie_on_its_body(kind, offset, size):
    error = refused(read, patched(a_full_image(), TABLE + 16, kind, offset, size, 0))
    assert (error.errno, error.rule, error.offset) == (EBADMSG, 14, TABLE + 16)


def test_a_section_may_end_where_the_image_ends_and_be_empty():
    image = a_full_image()
    for kind in (1, 3, 99):
        assert read(patched(image, TABLE + 16, kind, len(image), 0, 0)).commands == []
        assert refused(read, patched(image, TABLE + 16, kind, len(image) + 1, 0, 0)).rule == 14


def test_an_unknown_section_is_listed_and_skipped():
    metadata = read(an_image([a_value()], extra=[(0x4D, b"anything", 7)]))
    assert [section[0] for section in metadata.sections] == [1, 0x4D]
    assert metadata.sections[1][3] == 7
    assert len(metadata.values) == 1


def test_a_payload_may_lie_in_front_of_the_table():
    start = 96 + len(CODE)
    _, payload, _ = value_section([a_value()])
    image = hand_made(payload, entry(1, start, payload), table_at=start + len(payload), count=1)
    for cuts in ((), range(len(image))):
        assert facts(read(image, cuts=cuts))[0] == [vars(a_value())]


def test_a_payload_may_lie_on_both_sides_of_the_tables_end():
    start = 96 + len(CODE)
    box = b'{"mailboxes":[{"target":"a"}]}'
    table = entry(9, start, b"") + entry(3, start + 32, box)
    image = hand_made(table, box, table_at=start, count=2)
    assert [mailbox.target for mailbox in read(image).mailboxes] == ["a"]
    table = entry(9, start, b"") + entry(3, start + 31, b"1" + box)
    # The byte in front is the low byte of the entry's count: 1 is no JSON, so it is legacy.
    error = refused(read, hand_made(table, box, table_at=start, count=2))
    assert error.rule == 15


def test_sections_may_share_their_bytes():
    start = 96 + len(CODE)
    _, values, _ = value_section([a_value(name=None, unit=None, group_name=None)])
    table = entry(1, start + 32, values) + entry(0x20, start + 32, values)
    metadata = read(hand_made(table, values, table_at=start, count=2))
    assert len(metadata.values) == 1


def test_sections_of_one_type_are_read_one_after_the_other():
    image = an_image(
        [a_value(id=1)], extra=[value_section([a_value(id=9), a_value(group=0, id=0)])]
    )
    found = [(value.group, value.id) for value in read(image).values]
    assert found == [(1, 1), (0, 0), (1, 9)]


@pytest.mark.parametrize(
    ("image", "rule"),
    [
        (an_image([a_value()], extra=[value_section([a_value(name="other")])]), 18),
        (an_image([], [a_command()], extra=[command_section([a_command(auth=0)])]), 18),
        (an_image(mailboxes=[a_mailbox()], extra=[mailbox_section([a_mailbox()])]), 19),
    ],
)
def test_what_a_second_section_declares_again_is_refused(image, rule):
    error = refused(read, image)
    assert (error.errno, error.rule) == (EBADMSG, rule)


def test_a_value_and_a_command_may_have_the_same_oid():
    metadata = read(an_image([a_value(5, 6)], [a_command(5, 6)]))
    assert (len(metadata.values), len(metadata.commands)) == (1, 1)


def test_the_limit_holds_for_table_and_payloads_together():
    image = a_full_image()
    need = len(image) - TABLE
    assert facts(read(image, limit=need)) == facts(read(image))
    error = refused(read, image, limit=need - 1)
    assert (error.errno, error.where, error.rule) == (ENOSPC, "end", 17)


def test_unknown_sections_cost_nothing_of_the_limit():
    image = an_image([a_value()], extra=[(0x4D, bytes(50_000), 1)])
    assert len(read(image, limit=200).values) == 1


def test_a_gap_in_front_of_the_table_costs_its_size():
    start = 96 + len(CODE)
    image = hand_made(bytes(1000), entry(9, start, b""), table_at=start + 1000, count=1)
    assert len(read(image, limit=1016).sections) == 1
    assert refused(read, image, limit=1015).errno == ENOSPC


def test_a_damaged_image_is_called_damaged_however_large_it_claims_to_be():
    image = a_full_image()
    assert refused(read, patched(image, TABLE + 8, 0xFFFFFF00), limit=100).errno == EBADMSG
    assert refused(read, patched(image, 0x40, 0xFFFFFF00), limit=100).errno == EBADMSG


def test_sizes_near_the_end_of_32_bits_take_no_memory():
    claims = [
        patched(a_full_image(), TABLE + 8, 0xFFFFFFFF, 1),
        patched(a_full_image(), 0x40, 0xFFFFFFFF, 0xFFFFFFFF),
        patched(a_full_image(), 0x44, 0xFFFFFFFF),
        patched(a_full_image(), TABLE + 12, 0xFFFFFFFF),
    ]
    refused(read, claims[0])
    tracemalloc.start()
    try:
        for image in claims:
            assert refused(read, image).errno == EBADMSG
        assert tracemalloc.get_traced_memory()[1] < 64 * 1024
    finally:
        tracemalloc.stop()


def test_no_memory_at_the_end_is_enospc(monkeypatch):
    image = a_full_image()
    header = hxe.parse(image[:96])
    reader = MetadataReader(header)
    reader.write(TABLE, memoryview(image)[TABLE:])

    def starve(*_):
        raise MemoryError

    monkeypatch.setattr("hsx.image.metadata.read_values", starve)
    assert refused(reader.end, len(image)).errno == ENOSPC
