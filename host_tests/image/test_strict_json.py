# SPDX-License-Identifier: MIT
"""strict_json: what is accepted means what CPython's json says, and RFC 8259 is accepted."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsx.image import strict_json


class BadError(Exception):
    pass


def loads(raw: bytes):
    return strict_json.loads(raw, BadError, {})


def position(raw: bytes) -> int:
    with pytest.raises(BadError) as caught:
        loads(raw)
    return caught.value.args[0]


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**18) + 1, 10**18 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('aé\0"\\'), inner),
    max_leaves=12,
).filter(lambda value: depth(value) <= 8)


def depth(value) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return 1 + max((depth(item) for item in value), default=0)
    return 0


@given(documents, st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_what_json_writes_is_read_as_it_was(value, ascii_only, indent):
    raw = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    assert loads(raw) == value
    assert loads(b" \r\n\t" + raw + b" \n") == value


PIECES = [
    *'[]{},:"\\ \n\t09-+.eEu',
    *["[", "]", "{", "}", ",", ":", '"', '"a"', "1", "-1.5e+3", "true", "false", "null", "NaN"],
    *["01", "\\u00e9", "\\ud83d\\ude00", "\\ud800", "é", "\0", "\x01", "Infinity", '""', "'"],
]


@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join) | st.text(max_size=30))
def test_what_is_read_is_what_json_reads(text):
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        return
    try:
        value = loads(raw)
    except BadError as bad:
        assert 0 <= bad.args[0] <= len(raw)
    else:
        assert value == json.loads(text)


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused_at_one_of_them(raw):
    try:
        loads(raw)
    except BadError as bad:
        assert 0 <= bad.args[0] <= len(raw)


@pytest.mark.parametrize(
    "text",
    [
        *["", " ", "[1 2]", "[1,]", "[,1]", "[", "[1", '{"a" 1}', '{"a":1,}', "{a:1}", "{1:2}"],
        *["01", "-", "+1", "1.", ".5", "1e", "1e+", "0x10", "NaN", "Infinity", "-Infinity"],
        *['"', '"\n"', '"\\x41"', '"\\u12"', '"\\u12g4"', "'a'", "True", "nul", "nulll", "1 2"],
        *['"\\ud800"', '"\\udc00"', '"\\ud800\\u0041"', '"\\ud800a"', "[]]", "1\0", "\0", "//"],
        *["1" + "0" * 18, "1." + "0" * 40, "\ufeff1", '"\\', '{"a":', "{,}"],
    ],
)
def test_what_is_no_json_or_too_large_is_refused(text):
    position(text.encode())


@pytest.mark.parametrize("raw", [b'"\xff"', b'"\xc0\x80"', b'"\xed\xa0\x80"', b'"\xc3"'])
def test_strings_are_utf8(raw):
    assert position(b"[" + raw + b"]") == 1


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_nesting_ends_at_8_whatever_comes_behind(opening):
    closing = b"]" if opening == b"[" else b"}"
    assert depth(loads(opening * 8 + b"1" + closing * 8)) == 8
    assert position(opening * 9 + b"1" + closing * 9) == 8 * len(opening)
    assert position(opening * 100_000) == 8 * len(opening)


def test_of_equal_keys_the_last_counts():
    assert loads(b'{"a":1,"b":2,"a":3}') == {"a": 3, "b": 2}


def test_the_error_says_where():
    assert position(b'{"a": 1, "b": x}') == 14
    assert position(b"[1, 2") == 5


def test_each_object_has_its_place():
    places = {}
    root = strict_json.loads(b'[{"a":{}}, {}]', BadError, places)
    assert [places[id(item)] for item in (root[0], root[0]["a"], root[1])] == [2, 7, 12]
