# SPDX-License-Identifier: MIT
import math
import struct

from hypothesis import example, given
from hypothesis import strategies as st

from hsx.node import float16

halves = st.integers(0, 0xFFFF)


def expected(bits: int) -> float:
    return struct.unpack("<e", struct.pack("<H", bits))[0]


def test_every_f16_is_the_number_that_the_standard_says():
    for bits in range(0x10000):
        ours, theirs = float16.to_float(bits), expected(bits)
        assert math.isnan(ours) == math.isnan(theirs)
        if not math.isnan(ours):
            assert ours == theirs
            assert math.copysign(1, ours) == math.copysign(1, theirs)


@given(halves, halves, halves)
@example(0x7BFF, 0x0001, 0x7BFF)  # 65504 - 2**-24 is below 65504, in 41 bits only
@example(0x7C00, 0x7C00, 0x7C00)
@example(0x7BFF, 0xFBFF, 0x7C00)  # a finite difference beyond f16 is still below infinity
@example(0x3C00, 0x3C01, 0x1400)  # exactly the limit is not below it
@example(0x8000, 0x0000, 0x0001)
def test_closer_compares_as_ieee_754_does(a, b, limit):
    # Python's floats hold every difference of two f16 exactly.
    difference = abs(expected(a) - expected(b))
    assert float16.closer(a, b, limit) == (difference < expected(limit))


def test_every_f16_comes_back_from_its_number():
    for bits in range(0x10000):
        number = float16.to_float(bits)
        if not math.isnan(number) and bits != 0x8000:
            assert float16.from_float(number) == bits
    assert float16.from_float(math.nan) & 0x7FFF > 0x7C00


@given(st.floats(-65519.9, 65519.9))
@example(2**-25)  # ties go to even: 0
@example(3 * 2**-25)
@example(2047.5 * 2**-24)  # the carry goes into the exponent
def test_a_number_becomes_the_nearest_f16(number):
    expected_bits = struct.unpack("<H", struct.pack("<e", number))[0]
    if expected_bits == 0x8000:
        expected_bits = float16.from_float(number)  # the sign of a zero is free
        assert expected_bits & 0x7FFF == 0
    assert float16.from_float(number) == expected_bits
    assert float16.from_float(65520.0) == 0x7C00
    assert float16.from_float(-math.inf) == 0xFC00
