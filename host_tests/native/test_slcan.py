# SPDX-License-Identifier: MIT
"""SLCAN lines from and to frames, through the binding; the parser itself in c/slcan.c."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsx.errors import EINVAL
from hsx.native import slcan_format, slcan_parse


@given(st.integers(0, 0x7FF), st.binary(max_size=8), st.binary(max_size=4), st.booleans())
def test_frame_comes_back_from_anywhere_in_a_buffer(ident, data, before, lower):
    line = bytearray(22)
    size = slcan_format(ident, data, line)
    text = line[: size - 1].lower() if lower else line[: size - 1]
    got = bytearray(8)
    buf = before + text + b"junk"
    assert slcan_parse(buf, len(before), len(before) + size - 1, got) == ident | len(data) << 11
    assert (got[: len(data)], line[size - 1]) == (data, 13)


@given(st.binary(max_size=30) | st.from_regex(rb"t[0-9a-fA-F]{3}[0-9][0-9A-F]{0,18}"))
def test_only_a_line_as_it_is_written_is_a_frame(text):
    data = bytearray(8)
    got = slcan_parse(text, 0, len(text), data)
    if got >= 0:
        line = bytearray(22)
        size = slcan_format(got & 0x7FF, data[: got >> 11], line)
        assert bytes(line[: size - 1]) == b"t" + text[1:].upper()


@pytest.mark.parametrize(
    "call",
    [
        lambda: slcan_parse(b"t1230", 0, 6, bytearray(8)),
        lambda: slcan_parse(b"t1230", 3, 2, bytearray(8)),
        lambda: slcan_parse(b"t1230", -1, 5, bytearray(8)),
        lambda: slcan_parse(b"t1230", 0, 5, bytearray(7)),
        lambda: slcan_format(0x800, b"", bytearray(22)),
        lambda: slcan_format(-1, b"", bytearray(22)),
        lambda: slcan_format(1, bytes(9), bytearray(22)),
        lambda: slcan_format(1, b"", bytearray(21)),
    ],
)
def test_argument_out_of_range_is_refused(call):
    with pytest.raises(OSError) as error:
        call()
    assert error.value.errno == EINVAL
