# SPDX-License-Identifier: MIT
"""toml: what is accepted means what tomllib says, and the subset is accepted."""

import json
import math
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsx.errors import EBADMSG, HsxError
from hsx.image import toml
from image.cases import refused


def loads(text: str) -> dict:
    return toml.loads(text.encode(), {})


def same(one, other) -> bool:
    """Equal in value and type; NaN equals NaN."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float):
        return math.isnan(one) and math.isnan(other) or repr(one) == repr(other)
    return one == other


def agreed(text: str) -> dict:
    """The document, which tomllib reads as ours does."""
    ours = loads(text)
    assert same(ours, tomllib.loads(text))
    return ours


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
BARE = st.text("abZ09-_", min_size=1, max_size=4)


def basic(text: str) -> str:
    return json.dumps(text).replace("\\/", "/").replace("\x7f", "\\u007f")


def escaped(text: str) -> str:
    return '"' + "".join(f"\\U{ord(char):08X}" for char in text) + '"'


def raw_string(text: str) -> str:
    plain = text.replace("\\", "").replace('"', "")
    return '"' + "".join(char for char in plain if char >= " " and char != "\x7f") + '"'


# json.dumps writes characters beyond the BMP as surrogate pairs, which TOML has not.
STRINGS = (
    st.text(st.characters(max_codepoint=0xD7FF), max_size=8).map(basic)
    | TEXTS.map(escaped)
    | TEXTS.map(raw_string)
    | st.text('ab"\\#é]', max_size=5).map(lambda text: f"'{text}'")
)
NUMBERS = st.one_of(
    st.integers(-(10**18) + 1, 10**18 - 1).map(str),
    st.integers(0, 10**18 - 1).map(lambda number: f"+{number:_}"),
    st.integers(0, 2**60).map(hex),
    st.integers(0, 2**40).map(lambda number: f"0x{number:_X}"),
    st.integers(0, 2**17).map(bin),
    st.integers(0, 2**50).map(oct),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(["inf", "+inf", "-inf", "nan", "+nan", "-nan", "1_0.0_1e+1_0", "0e0", "-0.0"]),
)
KEYS = BARE | TEXTS.map(escaped) | st.text("ab.é ", max_size=3).map(lambda text: f"'{text}'")
BLANKS = st.sampled_from(["", " ", "\t", "  "])
BREAKS = st.sampled_from(["", " ", "\n", " # a comment, é ]\n", "\r\n"])


def arrays(inner):
    def written(draw_items, gap, comma):
        body = f",{gap}".join(draw_items)
        return f"[{gap}{body}{gap if body else ''}{',' if comma and body else ''}{gap}]"

    return st.builds(written, st.lists(inner, max_size=3), BREAKS, st.booleans())


def tables(inner):
    pairs = st.dictionaries(BARE, inner, max_size=3)
    return st.builds(
        lambda items, gap: (
            "{"
            + f"{gap},{gap}".join(f"{gap}{key}{gap}={gap}{value}" for key, value in items.items())
            + gap
            + "}"
        ),
        pairs,
        BLANKS,
    )


VALUES = st.recursive(
    STRINGS | NUMBERS | st.sampled_from(["true", "false"]),
    lambda inner: arrays(inner) | tables(inner),
    max_leaves=6,
)


@st.composite
def documents(draw) -> str:
    """A document within the subset: keys and table names are all different."""
    end = draw(st.sampled_from(["\n", "\r\n", " # comment é\n", "\n\n", "\t\n"]))
    names = draw(
        st.lists(KEYS, max_size=12, unique_by=lambda key: tomllib.loads(key + "=1").popitem()[0])
    )
    lines = []
    for serial, name in enumerate(names):
        shape = draw(st.sampled_from(["pair", "dotted", "table", "list", "under"]))
        gap = draw(BLANKS)
        value = draw(VALUES)
        # The number keeps apart what stands in the root and under a header.
        name = f"n{serial}{gap}.{gap}{name}"
        if shape == "pair":
            lines.append(f"{gap}{name}{gap}={gap}{value}")
        elif shape == "dotted":
            lines += [f"{name}.x{gap}={value}", f"{name}.y.z = 1", f"{name}.y.'w' = 2"]
        elif shape == "table":
            lines += [f"[{gap}{name}{gap}]", f"k = {value}", f"[{name}.sub.'more']", "k = 1"]
        elif shape == "list":
            lines += [f"[[{gap}{name}{gap}]]", f"k = {value}", f"[{name}.in]", f"[[{name}]]"]
        else:
            lines += [f"[{name}.a.b]", f"k = {value}", f"[{name}]", f"k = {value}"]
    return "".join(line + end for line in lines)


@given(documents())
def test_a_document_of_the_subset_is_read_as_tomllib_reads_it(text):
    agreed(text)


PIECES = [
    *[
        "a",
        "b",
        "a.b",
        '"a"',
        "'b'",
        "é",
        "-",
        "_",
        "1",
        "[a]",
        "[[a]]",
        "[a.b]",
        "[[a.b]]",
        "[b]",
    ],
    *[
        "\n",
        "\n",
        "\n",
        "\r\n",
        "\r",
        " ",
        "\t",
        "#",
        "# c\n",
        "=",
        " = ",
        ",",
        ".",
        "[",
        "]",
        "{",
        "}",
    ],
    *["a = 1\n", "a.b = 2\n", "b.a = [1]\n", "a = {b = 1}\n", "a = [{}]\n", "[a]\n", "[[a]]\n"],
    *["[a.b]\n", "[[a.b]]\n", "b = {a.b = 1, a.c = 2}\n", "true", "false", "inf", "nan", "0x1f"],
    *["1_0", "0b1", "1e5", "-1.5", "01", "1_", "1979-05-27", "07:32:00", '"', "'", '"""', "'''"],
    *["\\u00e9", "\\n", "\\U0001F600", "\\ud800", "\\x", "\0", "\x7f", "\x01", "+", "0", "e", "E"],
]


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_what_is_read_is_what_tomllib_reads(text):
    try:
        ours = loads(text)
    except HsxError as error:
        assert (error.errno, error.where) == (EBADMSG, "begin")
        assert 1 <= error.offset <= text.count("\n") + 1
    else:
        assert same(ours, tomllib.loads(text))


@given(st.sampled_from(["a = {}", "a = [{}]", '"{}" = 1', "[{}]", "# {}", "{}"]), st.data())
def test_small_changes_of_small_documents_are_judged_as_tomllib_judges_them(form, data):
    piece = data.draw(
        st.text(st.sampled_from("aé0123456789_+-.eExbon:T#\"'\\ \t,=[]{}\r\x1f\x7f"), max_size=8)
    )
    test_what_is_read_is_what_tomllib_reads.hypothesis.inner_test(form.replace("{}", piece))


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(raw):
    try:
        toml.loads(raw, {})
    except HsxError as error:
        assert (error.errno, error.where) == (EBADMSG, "begin")
    else:
        tomllib.loads(raw.decode())


def test_all_scalars_of_three_characters_are_judged_as_tomllib_judges_them():
    letters = "01_+-.eExbinf"
    for one in letters:
        for two in ["", *letters]:
            for three in ["", *letters]:
                for four in ["", "0", "1", "_"]:
                    text = f"a = {one}{two}{three}{four}"
                    try:
                        ours = loads(text)
                    except HsxError:
                        ours = None
                    try:
                        theirs = tomllib.loads(text)
                    except tomllib.TOMLDecodeError:
                        theirs = None
                    assert same(ours, theirs), text


def test_an_example_of_everything():
    text = """
# a card
title = "hsx" # behind a value
"quoted key" = 'C:\\path'
site.name = "b\\u00e9\\t\\"x\\""   # dotted
site . "number" = 1_000
mask = 0xDEAD_BEEF
floats = [1.5, -2e3, inf]

[owner]
list = [
  1, # one
  [2, 3],
  {a = 1, b.c = true},
]
[[image]]
file = "a.hxe"
[[image]]
file = "b.hxe"
[image.extra]
x = 1
"""
    document = agreed(text)
    assert document["image"] == [{"file": "a.hxe"}, {"file": "b.hxe", "extra": {"x": 1}}]
    assert document["site"] == {"name": 'bé\t"x"', "number": 1000}
    assert document["owner"]["list"][2] == {"a": 1, "b": {"c": True}}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a = 1\na = 2", 2),
        ("a = 1\n\n[a]", 3),
        ("[a]\n[a]", 2),
        ("[a]\n[[a]]", 2),
        ("[[a]]\n[a]", 2),
        ("[a.b]\n[[a]]", 2),
        ("a = []\n[[a]]", 2),
        ("a = [{}]\n[a.b]", 2),
        ("a = {}\n[a.b]", 2),
        ("a = {}\na.b = 1", 2),
        ("a.b = 1\n[a]", 2),
        ("a.b = 1\na.b.c = 2", 2),
        ("[a.b]\n[a]\nb.c = 1", 3),
        ("a = {b = 1, b = 2}", 1),
        ("a = {b = {}, b.c = 2}", 1),
        ("a = {b = 1,}", 1),
        ("a = {\nb = 1}", 1),
        ("a = [\n1\n2]", 3),
        ("a = [1", 1),
        ("a =", 1),
        ("a", 1),
        ("= 1", 1),
        ("a.= 1", 1),
        (".a = 1", 1),
        ("a b = 1", 1),
        ("é = 1", 1),
        ("a = 1 b = 2", 1),
        ("[a", 1),
        ("[]", 1),
        ("[a] b = 1", 1),
        ("[[a] ]", 1),
        ('a = "', 1),
        ('a = "\n"', 1),
        ('a = "\\x41"', 1),
        ('a = "\\ud800"', 1),
        ('a = "\\U00110000"', 1),
        ("a = '\x01'", 1),
        ("a = 1 # \x01", 1),
        ("a = 1 # \x7f", 1),
        ("a = '\x7f'", 1),
        ('a = "\x7f"', 1),
        ("\n\na = 1\rb = 2", 3),
        ("a = TRUE", 1),
        ("a = 01", 1),
        ("a = 1__0", 1),
        ("a = 0X1", 1),
        ("a = 1.", 1),
        ("a = .5", 1),
        ("\ufeffa = 1", 1),
        ("a\0 = 1", 1),
    ],
)
def test_what_is_no_toml_is_refused_with_its_line(text, line):
    error = refused(loads, text)
    assert (error.errno, error.where, error.rule, error.offset) == (EBADMSG, "begin", 0, line)
    assert error.detail
    with pytest.raises(tomllib.TOMLDecodeError):
        tomllib.loads(text)


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ('a = """x"""', "multi-line strings are not supported"),
        ("a = '''x'''", "multi-line strings are not supported"),
        ("a = 1979-05-27", "value is missing or of a kind that is not supported"),
        ("a = 07:32:00", "value is missing or of a kind that is not supported"),
        ("a = 1979-05-27T07:32:00Z", "value is missing or of a kind that is not supported"),
        ("a = 1" + "0" * 18, "value is missing or of a kind that is not supported"),
        ("a = 0x1" + "0" * 18, "value is missing or of a kind that is not supported"),
        ("[a.b.c]\n[a]\nb.d = 1", "table is closed to this key"),
    ],
)
def test_what_the_subset_lacks_is_refused_and_said(text, detail):
    tomllib.loads(text)
    assert refused(loads, text).detail == detail


@pytest.mark.parametrize("opening", ["[", "{a=", "[{a=", "{a=["])
def test_nesting_without_end_is_refused(opening):
    assert refused(loads, "a = " + opening * 5000).detail == "nested too deep"


def test_nesting_ends_at_8():
    agreed("a = " + "[" * 8 + "]" * 8)
    assert refused(loads, "a = " + "[" * 9 + "]" * 9).detail == "nested too deep"
    agreed(".".join("abcdefgh") + " = 1")
    assert refused(loads, ".".join("abcdefghi") + " = 1").detail == "nested too deep"
    assert refused(loads, "[" + ".".join("a" * 3000) + "]").detail == "nested too deep"


@pytest.mark.parametrize("raw", [b"# \xff", b"a = '\xed\xa0\x80'", b"a = '\xc0\x80'"])
def test_a_document_is_utf8(raw):
    assert refused(toml.loads, raw, {}).detail == "text is not UTF-8"


def test_each_table_has_its_place():
    places = {}
    text = b"[a]\n[[b]]\nc = {d = 1}\n"
    root = toml.loads(text, places)
    lines = [toml.line_of(text, places[id(table)]) for table in (root["a"], root["b"][0])]
    assert lines == [1, 2]
    assert toml.line_of(text, places[id(root["b"][0]["c"])]) == 3
