# SPDX-License-Identifier: MIT
"""f16 with the target's floats, which are single precision."""

import binascii
import struct

import pytest

pytestmark = pytest.mark.target

ALL = """
import binascii, struct
from hsx.node.float16 import to_float
crc = 0
for bits in range(0x10000):
    if bits & 0x7FFF <= 0x7C00:
        crc = binascii.crc32(struct.pack("<f", to_float(bits)), crc)
print(crc)
"""


def test_every_f16_that_is_a_number_is_exact(repl):
    halves = [bits for bits in range(0x10000) if bits & 0x7FFF <= 0x7C00]
    numbers = struct.unpack(f"<{len(halves)}e", struct.pack(f"<{len(halves)}H", *halves))
    assert int(repl.run(ALL)) == binascii.crc32(struct.pack(f"<{len(numbers)}f", *numbers))


def test_differences_are_compared_exactly(repl):
    # 65504 - 2**-24 is below 65504, but single precision can not tell them apart.
    assert repl.run("from hsx.node import float16\nprint(float16.closer(0x7BFF, 1, 0x7BFF))") == (
        "True"
    )
