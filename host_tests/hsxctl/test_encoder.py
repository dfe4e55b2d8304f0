# SPDX-License-Identifier: MIT
import re
from pathlib import Path

import pytest

from hsxctl.assembler import encoder
from hsxctl.assembler.encoder import INSTRUCTIONS, Fixup, Reference, encode
from hsxctl.assembler.lexer import SourceError

OPCODES_H = Path(__file__).parents[2] / "firmware/native/opcodes.h"
FORMS = {  # of opcodes.h
    "RD_SIMM": ("rd", "imm"),
    "RD_MEM": ("rd", "mem"),
    "MEM_RS2": ("mem", "rs2"),
    "RD_RS1": ("rd", "rs1"),
    "RD_RS1_RS2": ("rd", "rs1", "rs2"),
    "RS1_RS2": ("rs1", "rs2"),
    "UIMM": ("target",),
    "CALL": ("call",),
    "NONE": (),
    "SVC": ("svc",),
    "RS1": ("rs1",),
    "RD": ("rd",),
    "RD_WORD": ("rd", "imm32"),
    "IMM8": ("code",),
}
EXAMPLES = {"imm": "-3", "mem": "[R5+-7]", "target": "0xABC", "call": "-2", "imm32": "0x89ABCDEF"}
BITS = {"imm": 0xFFD, "mem": 5 << 16 | 0xFF9, "target": 0xABC, "call": 0xFFE, "imm32": 0}
REGISTERS = {"rd": ("R11", 11 << 20), "rs1": ("r2", 2 << 16), "rs2": ("R13", 13 << 12)}


def word(line: str) -> int:
    mnemonic, _, operands = line.partition(" ")
    (one,), fixups = encode(mnemonic, operands)
    assert not fixups
    return one


def refusal(line: str) -> SourceError:
    mnemonic, _, operands = line.partition(" ")
    with pytest.raises(SourceError) as caught:
        encode(mnemonic, operands)
    return caught.value


def test_the_table_is_the_one_of_the_core():
    rows = re.findall(r"X\((0x\w+), (\w+), (\w+)\)", OPCODES_H.read_text())
    assert {name: (int(op, 16), FORMS[form]) for op, name, form in rows} == INSTRUCTIONS


@pytest.mark.parametrize("mnemonic", [name for name in INSTRUCTIONS if name not in ("SVC", "BRK")])
def test_every_operand_lands_in_its_field(mnemonic):
    opcode, kinds = INSTRUCTIONS[mnemonic]
    operands, expected = [], opcode << 24
    for kind in kinds:
        text, bits = REGISTERS.get(kind) or (EXAMPLES[kind], BITS[kind])
        operands.append(text)
        expected |= bits
    words, fixups = encode(mnemonic.lower(), ", ".join(operands))
    assert words == [expected] + [0x89ABCDEF] * ("imm32" in kinds)
    assert fixups == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [  # spec/vm_isa.md section 9
        ("LDI R0,42", 0x0100002A),
        ("LDI R1,-1", 0x01100FFF),
        ("MOV R9,R1", 0x04910000),
        ("PUSH R2", 0x40020000),
        ("POP R3", 0x41300000),
        ("ADD R1,R2,R3", 0x10123000),
        ("CALL 2", 0x24000002),
        ("RET", 0x25000000),
        ("SVC 0x502", 0x30000502),
        ("SVC MOD=0x5, FN=0x2", 0x30000502),
        ("SVC FN = 2, mod = 5", 0x30000502),
        ("BRK 9", 0x7F000009),
        ("LD R1, [ R2 + 4 ]", 0x02120004),
        ("LDI R1 'A'", 0x01100041),
    ],
)
def test_documented_forms_encode_as_documented(line, expected):
    assert word(line) == expected


@pytest.mark.parametrize("number", range(16))
def test_every_register_has_its_number(number):
    assert (
        word(f"MOV R{number}, R{15 - number}") == 0x04000000 | number << 20 | (15 - number) << 16
    )


@pytest.mark.parametrize(
    ("line", "low", "high", "mask"),
    [
        ("LDI R1, {}", -2048, 2047, 0xFFF),
        ("LD R1, [R2+{}]", -2048, 2047, 0xFFF),
        ("JMP {}", 0, 4095, 0xFFF),
        ("CALL {}", -2048, 2047, 0xFFF),
        ("BRK {}", 0, 255, 0xFF),
        ("SVC {}", 0, 0xFFF, 0xFFF),
    ],
)
def test_a_number_at_the_edge_fits_and_the_next_one_is_refused(line, low, high, mask):
    assert word(line.format(low)) & mask == low & mask
    assert word(line.format(high)) & mask == high & mask
    refusal(line.format(low - 1))
    refusal(line.format(high + 1))


def test_a_second_word_takes_any_32_bits_and_no_more():
    assert encode("LDI32", "R1, -1")[0][1] == 0xFFFFFFFF
    assert encode("LDI32", "R1, 0xFFFFFFFF")[0][1] == 0xFFFFFFFF
    assert encode("LDI32", "R1, -0x80000000")[0][1] == 0x80000000
    refusal("LDI32 R1, 0x100000000")
    refusal("LDI32 R1, -0x80000001")


def test_a_symbol_is_left_to_the_linker():
    assert encode("LDI32", "R1, table") == (
        [0x60100000, 0],
        [Fixup("imm32", 1, Reference("table"))],
    )
    assert encode("LD", "R1, [R2+off16(cell)]")[1] == [Fixup("imm", 0, Reference("cell", "off16"))]


def test_the_document_s_form_of_svc_is_refused_with_the_right_one():
    error = refusal("SVC 0x05, 0x02")
    assert "SVC 0x000" in error.what
    assert "MOD=0x5, FN=0x2" in error.hint


@pytest.mark.parametrize(
    ("line", "word_in_message"),
    [
        ("SVC MOD=0x17, FN=0", "four bits"),
        ("SVC MOD=1, FN=256", "does not fit"),
        ("SVC MOD=1", "needs a module and a function"),
        ("SVC MOD=1, MOD=2", "does not take"),
        ("SVC", "needs a module"),
        ("LDI R16, 1", "no register"),
        ("LDI R1", "one operand"),
        ("RET R1", "one operand"),
        ("LD R1, [R2-4]", "no memory operand"),
        ("LD R1, [R2]", "no memory operand"),
        ("LD R1, R2", "no memory operand"),
        ("MUL R1, R2, 3", "no register"),
        ("LDI R1, 5,", "comma at the end"),
        ("LDI R1, [R2", "cannot read"),
        ("LDI R1, 'ab'", "neither a number nor a symbol"),
        ("HALT", "no instruction or directive 'HALT'"),
    ],
)
def test_what_is_no_instruction_is_refused_with_words(line, word_in_message):
    error = refusal(line)
    assert word_in_message in error.what
    assert error.hint.endswith(".")


def test_the_widest_offsets_are_those_of_the_specification():
    assert (encoder.IMM_MIN, encoder.IMM_MAX, encoder.TARGET_MAX) == (-2048, 2047, 4095)
