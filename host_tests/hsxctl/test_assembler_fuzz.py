# SPDX-License-Identifier: MIT
"""Random sources end as an image that a node takes, or as a list of errors; never otherwise."""

import io
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsx.image.verify import verify
from hsxctl import assembler
from hsxctl.assembler.encoder import INSTRUCTIONS

SOURCES = sorted((Path(__file__).parents[1] / "golden/programs").glob("*.mvasm"))
TEXTS = [path.read_text() for path in SOURCES]

names = st.sampled_from(["a", "b", "_start", "R1", "x.y", "lo16(a)", "off16(b)"])
numbers = st.one_of(
    st.integers(-(1 << 33), 1 << 33).map(str), st.integers(0, 1 << 33).map(hex), st.just("'A'")
)
registers = st.integers(0, 17).map("R{}".format)
memory = st.tuples(registers, st.one_of(numbers, names)).map("[{0[0]}+{0[1]}]".format)
operands = st.lists(st.one_of(registers, numbers, names, memory), max_size=4).map(", ".join)
DIRECTIVES = (
    ".text .data .entry .org .byte .half .word .ascii .asciz .align .zero .value .cmd .mailbox "
    ".include .extern .export .import"
)
directives = st.sampled_from(DIRECTIVES.split())
objects = st.sampled_from(
    [
        '{"group": 1, "id": 2, "init": 1e999}',
        '{"group": 1, "id": 3, "handler": "a"}',
        '{"target": "app:t", "mode": "RW"}',
        '[{"group": 1, "id": 2}, {"target": "x"}]',
        "[[[[[[[[[[",
        '{"group": null, "id": true}',
    ]
)
lines = st.one_of(
    st.tuples(st.sampled_from(sorted(INSTRUCTIONS)), operands).map(" ".join),
    st.tuples(directives, st.one_of(operands, objects, st.text(max_size=20))).map(" ".join),
    names.map("{}:".format),
    st.text(max_size=30),
)


def check(text: str, folder: Path) -> None:
    """Assembles; what comes out must be whole, and what is refused must say where and why."""
    path = folder / "fuzz.mvasm"
    path.write_text(text, encoding="utf-8", errors="replace")
    try:
        program = assembler.assemble(path)
        image = assembler.image(program, "fuzz")
    except assembler.AssemblerError as error:
        assert error.problems
        for problem in error.problems:
            assert problem.what
            assert re.search(r":\d+$", str(problem.where))
        return
    head, meta, length = verify(io.BytesIO(image).readinto, bytearray(512))
    assert (length, head.entry, head.code_len) == (len(image), program.entry, len(program.code))
    assert len(meta.values) == len(program.values)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@given(text=st.lists(lines, max_size=12).map("\n".join))
def test_any_lines_give_an_image_or_clean_errors(folder, text):
    check(text, folder)


@given(data=st.binary(max_size=200))
def test_any_bytes_give_an_image_or_clean_errors(folder, data):
    check(data.decode("utf-8", "replace"), folder)
    (folder / "raw.mvasm").write_bytes(data)
    try:
        assembler.assemble(folder / "raw.mvasm")
    except assembler.AssemblerError as error:
        assert error.problems


@given(
    text=st.sampled_from(TEXTS),
    cut=st.integers(0, 2000),
    width=st.integers(0, 20),
    filling=st.one_of(st.text(max_size=8), numbers, names, objects),
)
def test_a_damaged_source_gives_an_image_or_clean_errors(folder, text, cut, width, filling):
    check(text[:cut] + filling + text[cut + width :], folder)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_the_same_source_gives_the_same_image_however_it_is_spaced(source, folder):
    spaced = re.sub(r"(?m)^(\s*)([A-Z]\w+) (.*?), *", r"\1  \2\t\3 ,  ", source.read_text())
    (folder / "spaced.mvasm").write_text(spaced.replace("\n", " ; end\r\n"))
    one, other = assembler.assemble(source), assembler.assemble(folder / "spaced.mvasm")
    assert assembler.image(one, "x") == assembler.image(other, "x")
