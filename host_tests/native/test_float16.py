# SPDX-License-Identifier: MIT
"""f16 arithmetic against one rounding in double precision (spec/vm_isa.md section 7).

The guest does it: a loop over a table of operands in its data memory.
"""

import random
import struct

import pytest

import hsxvm as n
from bench.images import EXIT, ldi, words
from hsx.image.build import build
from native.programs import word
from native.slow_vm import f16_bits, f16_operation, f16_to_int, signed

ROOM = 8000  # operand pairs that fit in the data window at a time
FADD, FSUB, FMUL, FDIV, I2F, F2I = range(0x50, 0x56)
SPECIAL = [
    sign | magnitude
    for sign in (0, 0x8000)
    for magnitude in (
        *(0, 1, 2, 3, 0x1FF, 0x200, 0x3FE, 0x3FF, 0x400, 0x401, 0x7FF, 0x800),
        *(0x3800, 0x3BFF, 0x3C00, 0x3C01, 0x4000, 0x7BFE, 0x7BFF, 0x7C00, 0x7C01, 0x7E00, 0x7FFF),
    )
]


def results(op: int, operands: list, size: int) -> list:
    """What the instruction makes of each (a, b), `size` bytes each: the low half, F2I all."""
    out = []
    for at in range(0, len(operands), ROOM // 2):
        part = operands[at : at + ROOM // 2]
        load, store = (0x07, 0x09) if size == 2 else (0x02, 0x03)
        code = words(
            *(0x60100000, 0x4000, 0x60200000, len(part), ldi(3, 1), ldi(6, 2 * size)),
            word(load, 4, 1),
            word(load, 5, 1, imm=size),
            word(op, 4, 4, 5),
            word(store, 0, 1, 4),
            word(0x10, 1, 1, 6),
            word(0x11, 2, 2, 3),
            0x23000018,
            EXIT,
        )
        form = "<%dI" if size == 4 else "<%dH"
        flat = [value for pair in part for value in pair]
        data = struct.pack(form % len(flat), *flat)
        vm = n.VM(bytearray(0x10000), 1)
        pid = vm.load(build(code, data))
        assert vm.clock(pid, 1 << 20) == n.EXIT
        seen = bytearray(len(data))
        vm.read(pid, 0x4000, seen)
        out += struct.unpack(form % len(flat), seen)[::2]
    return out


def differing(op: int, pairs: list) -> list:
    """Pairs whose result is not the expected one."""
    return [
        (hex(a), hex(b), hex(is_), hex(f16_operation(op, a, b)))
        for (a, b), is_ in zip(pairs, results(op, pairs, 2), strict=True)
        if is_ != f16_operation(op, a, b)
    ]


@pytest.mark.parametrize("op", [FADD, FSUB, FMUL, FDIV])
def test_all_pairs_of_special_values(op):
    assert not differing(op, [(a, b) for a in SPECIAL for b in SPECIAL])


@pytest.mark.sharded
@pytest.mark.parametrize("op", [FADD, FSUB, FMUL, FDIV])
@pytest.mark.parametrize("other", [0x0001, 0x3C00, 0x3555, 0x8400, 0x7BFF])
def test_every_value_with_a_fixed_other_one(op, other):
    assert not differing(op, [(a, other) for a in range(0x10000)])


@pytest.mark.parametrize("op", [FADD, FSUB, FMUL, FDIV])
def test_random_pairs(op):
    rng = random.Random(op)
    assert not differing(op, [(rng.getrandbits(16), rng.getrandbits(16)) for _ in range(60000)])


@pytest.mark.parametrize("op", [FMUL, FDIV])
def test_random_pairs_with_a_subnormal_result(op):
    rng = random.Random(op)
    pairs = []
    while len(pairs) < 30000:
        a, b = rng.getrandbits(16), rng.getrandbits(16)
        if 0 < f16_operation(op, a, b) & 0x7FFF <= 0x401:
            pairs.append((a, b))
    assert not differing(op, pairs)


def test_what_lies_below_the_smallest_normal_number_is_not_rounded_up_to_it():
    # 0x07FF / 2 = 1023.5 * 2**-24 lies half way between 0x3FF and 0x400: IEEE 754 gives 0x400.
    assert results(FDIV, [(0x07FF, 0x4000)], 2) == [0x3FF]
    assert results(FDIV, [(0x87FF, 0x4000)], 2) == [0x83FF]


def test_division_by_zero_is_division_by_infinity():
    pairs = [(0x3C00, 0), (0xBC00, 0x8000), (0, 0), (0x7C00, 0)]
    assert results(FDIV, pairs, 2) == [0, 0x8000, 0, 0x7E00]


def test_every_f16_to_integer():
    is_ = results(F2I, [(a, 0) for a in range(0x10000)], 4)
    assert is_ == [f16_to_int(a) for a in range(0x10000)]


def test_integers_to_f16():
    rng = random.Random(1)
    near = [65519, 65520, 65521, 65504, 65535, 65536, 2047, 2048, 2049, 2050, 2051, 1 << 31]
    values = [*range(-4200, 4200), *near, *(-value for value in near)]
    values += [rng.getrandbits(rng.randrange(1, 33)) for _ in range(30000)]
    values = [value & 0xFFFFFFFF for value in values]
    is_ = results(I2F, [(value, 0) for value in values], 4)
    expected = [value & 0xFFFF0000 | f16_bits(float(signed(value))) for value in values]
    assert is_ == expected


def test_the_upper_half_of_the_result_register_is_kept():
    vm = n.VM(bytearray(4096), 1)
    pid = vm.load(build(words(word(FADD, 1, 2, 3), EXIT)))
    for number, value in ((1, 0xABCD1234), (2, 0xFFFF3C00), (3, 0x12343C00)):
        vm.set(pid, number, value)
    vm.clock(pid, 1)
    assert vm.get(pid, 1) == 0xABCD4000
