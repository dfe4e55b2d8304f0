# SPDX-License-Identifier: MIT
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsx.errors import EINVAL, HsxError
from hsx.store.region import SubRegion, write_changed
from powercut.medium import Medium


def test_sub_region_reads_and_writes_its_part_of_the_parent():
    part = Medium(bytearray(range(16)))
    sub = SubRegion(part, 4, 8)
    got = bytearray(3)
    sub.readinto(5, got)
    assert got == bytes([9, 10, 11])
    sub.write(0, b"\xaa")
    assert part.memory[4] == 0xAA


@pytest.mark.parametrize(("addr", "count"), [(-1, 1), (8, 1), (0, 9), (7, 2), (1 << 40, 1)])
@pytest.mark.parametrize("write", [False, True])
def test_what_lies_outside_is_einval_and_reaches_nothing(addr, count, write):
    part = Medium(bytearray(16))
    sub = SubRegion(part, 4, 8)
    with pytest.raises(HsxError) as caught:
        if write:
            sub.write(addr, b"\xff" * count)
        else:
            sub.readinto(addr, bytearray(count))
    assert caught.value.errno == EINVAL
    assert part.memory == bytes(16)


def test_sub_region_beyond_its_parent_is_einval():
    with pytest.raises(HsxError):
        SubRegion(Medium(bytearray(16)), 10, 7)


def test_written_bytes_are_counted():
    sub = SubRegion(Medium(bytearray(16)), 0, 16)
    sub.write(0, b"abc")
    sub.write(1, b"d")
    assert sub.written == 4


@given(st.binary(min_size=1, max_size=40), st.data())
def test_write_changed_makes_equal_and_writes_only_from_first_to_last_difference(new, data):
    old = data.draw(st.binary(min_size=len(new), max_size=len(new)))
    part = Medium(bytearray(old))
    differing = [at for at in range(len(new)) if old[at] != new[at]]
    wrote = write_changed(part, 0, memoryview(new), memoryview(bytearray(len(new))))
    assert part.memory == new
    assert wrote == bool(differing)
    assert part.written == (differing[-1] - differing[0] + 1 if differing else 0)
