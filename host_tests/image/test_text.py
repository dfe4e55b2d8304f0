# SPDX-License-Identifier: MIT
"""text: UTF-8 judged as CPython judges it, on every tier."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsx.image import text
from hsx.image.text import strip


def decoded(raw: bytes):
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def test_all_pairs_of_bytes_are_judged_as_cpython_judges_them():
    for lead in range(256):
        for follow in range(256):
            raw = bytes((lead, follow))
            assert text.decode(raw) == decoded(raw), raw


@pytest.mark.parametrize("lead", [0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF4, 0xF5])
def test_all_second_bytes_of_longer_forms_are_judged_as_cpython_judges_them(lead):
    for second in range(256):
        for rest in (b"\x80", b"\x80\x80", b"\xbf\xbf\xbf", b"\xbf\xc0", b"\x7f"):
            raw = bytes((lead, second)) + rest
            assert text.decode(raw) == decoded(raw), raw


@given(st.binary() | st.text(st.characters(exclude_categories=["Cs"])).map(str.encode))
def test_any_bytes_are_judged_as_cpython_judges_them(raw):
    assert text.decode(memoryview(raw)) == decoded(raw)
    assert text.is_utf8(raw) == (decoded(raw) is not None)


def test_only_ascii_blanks_are_stripped():
    assert strip(" \t\n\r\v\f a b \f") == "a b"
    assert strip("\u00a0a\x1c") == "\u00a0a\x1c"
