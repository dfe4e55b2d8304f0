# SPDX-License-Identifier: MIT
import pytest

from hsx.errors import ENOTSUP, HsxError
from hsx.store.layout import layout_of

SIZES = [0x2000, 0x8000, 0x20000, 0x80000]


@pytest.mark.requirement("P-48")
@pytest.mark.parametrize("size", SIZES)
def test_partitions_lie_in_order_without_overlap_inside_the_medium(size):
    end = 0
    for name, base, length in layout_of(size).partitions():
        if length:
            assert base >= end, name
            end = base + length
    assert end <= size


@pytest.mark.parametrize("size", SIZES[1:])
def test_banks_are_equal_and_take_most_of_the_medium(size):
    layout = layout_of(size)
    banks = layout.partitions()[4:]
    assert banks[0][2] == banks[1][2]
    assert 2 * banks[0][2] > 0.85 * size


@pytest.mark.requirement("P-65")
def test_smallest_part_has_values_and_no_banks():
    layout = layout_of(0x2000)
    assert layout.bank_size == 0
    assert layout.values > 100


@pytest.mark.parametrize("size", [0, 1, 0x1000, 0x4000, 0x10000, 0x1FFFF, 0x100000])
def test_other_sizes_have_no_layout(size):
    with pytest.raises(HsxError) as caught:
        layout_of(size)
    assert caught.value.errno == ENOTSUP
