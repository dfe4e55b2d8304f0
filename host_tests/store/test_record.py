# SPDX-License-Identifier: MIT
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsx.store.record import blank, seal, sealed


@given(st.binary(min_size=5, max_size=100))
def test_sealed_record_counts_and_no_flipped_bit_does(data):
    record = bytearray(data)
    seal(record)
    assert sealed(record)
    for bit in range(8 * len(record)):
        record[bit // 8] ^= 1 << bit % 8
        assert not sealed(record)
        record[bit // 8] ^= 1 << bit % 8


@pytest.mark.parametrize("size", [16, 36, 96])
@pytest.mark.parametrize("byte", [0x00, 0xFF])
def test_neither_zeros_nor_a_new_part_is_a_record(size, byte):
    record = bytearray([byte] * size)
    assert not sealed(record)
    assert blank(record) == (byte == 0)


def test_every_torn_write_of_a_record_leaves_none():
    old, new = bytearray(range(36)), bytearray(range(100, 136))
    seal(old)
    seal(new)
    for cut in range(1, 36):
        assert not sealed(new[:cut] + old[cut:])
