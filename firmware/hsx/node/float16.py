# SPDX-License-Identifier: MIT
"""f16 bits as numbers, exactly (spec/svc_abi.md section 10): `struct` has no 'e' on the target.

A finite f16 is a whole number of 2**-24, at most 41 bits long. Differences are taken of these
numbers, because the target's floats are too short to hold the difference of two f16.
"""

from micropython import const

_INFINITE = const(0x7C00)  # exponent of infinities and NaN
_PER_ONE = 16777216.0  # 2**24


def _units(bits: int) -> int:
    """A finite f16 in units of 2**-24."""
    size = bits & 0x3FF
    exponent = bits >> 10 & 31
    if exponent:
        size = (size | 0x400) << (exponent - 1)
    return -size if bits & 0x8000 else size


def to_float(bits: int) -> float:
    """The number that 16 bits stand for."""
    if bits & _INFINITE == _INFINITE:
        number = float("nan") if bits & 0x3FF else float("inf")
    else:
        number = _units(bits & 0x7FFF) / _PER_ONE
    return -number if bits & 0x8000 else number


def from_float(number: float) -> int:
    """The nearest f16, ties to even; beyond the range the infinity."""
    sign = 0
    if number < 0:
        sign = 0x8000
        number = -number
    if number != number:
        return 0x7E00
    if number >= 65520.0:
        return sign | _INFINITE
    exponent = 0  # of the unit that the 11 bits count
    number *= _PER_ONE
    while number >= 2048.0:
        number /= 2
        exponent += 1
    size = int(number)
    rest = number - size
    if rest > 0.5 or (rest == 0.5 and size & 1):
        size += 1
    # A carry out of the 11 bits lands in the exponent, as it should.
    return sign | (size + (exponent << 10))


def closer(a: int, b: int, limit: int) -> bool:
    """Whether |a - b| < limit, all f16 bits, as IEEE 754 compares: never with a NaN, and nothing
    is close to an infinity."""
    if a & _INFINITE == _INFINITE or b & _INFINITE == _INFINITE:
        return False
    if limit & _INFINITE == _INFINITE:
        return limit == _INFINITE  # positive: every finite difference is smaller
    return abs(_units(a) - _units(b)) < _units(limit)
