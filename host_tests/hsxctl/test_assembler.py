# SPDX-License-Identifier: MIT
import json
import struct

import pytest

from hsx.image.metadata import Value
from hsxctl.assembler import AssemblerError, Program, assemble


@pytest.fixture
def asm(tmp_path):
    """asm(text, other=text...) -> the Program of main.mvasm, with other files beside it."""

    def assembled(text: str, **others: str) -> Program:
        for name, content in others.items():
            (tmp_path / f"{name}.mvasm").write_text(content)
        (tmp_path / "main.mvasm").write_text(text)
        return assemble(tmp_path / "main.mvasm")

    return assembled


@pytest.fixture
def problems(asm, tmp_path):
    """problems(text) -> the messages of a source that is refused, file names without folder."""

    def refused(text: str, **others: str) -> list[str]:
        with pytest.raises(AssemblerError) as caught:
            asm(text, **others)
        return [str(problem).replace(f"{tmp_path}/", "") for problem in caught.value.problems]

    return refused


def words(program: Program) -> list[int]:
    return list(struct.unpack(f">{len(program.code) // 4}I", program.code))


def test_labels_stand_alone_or_before_a_statement(asm):
    assert words(asm("one:\nJMP two\ntwo: RET ; JMP one\n")) == [0x21000004, 0x25000000]


def test_jumps_take_addresses_and_calls_take_distances(asm):
    program = asm("RET\nback:\nJMP ahead\nCALL back\nCALL ahead\nahead: RET")
    assert words(program)[1:4] == [0x21000010, 0x24000FFF, 0x24000001]


def test_data_labels_are_guest_addresses(asm):
    program = asm("LDI32 R1, b\nLDI R2, off16(b)\nLDI R3, hi16(b)\n.data\na: .word 1\nb: .zero 2")
    assert words(program) == [0x60100000, 0x4004, 0x01200004, 0x01300000]


def test_data_is_little_endian_and_takes_symbols(asm):
    program = asm(
        "RET\n.data\n.byte 1, -1, 0x7f, 'A', \"xy\"\n.half 0x1234, -2\n.hword end\n"
        ".word 0xDEADBEEF, end, lo16(end)\nend:"
    )
    expected = b"\x01\xff\x7fAxy" + struct.pack("<HHH", 0x1234, 0xFFFE, 0x4018)
    assert program.rodata == expected + struct.pack("<III", 0xDEADBEEF, 0x4018, 0x4018)


def test_strings_alignment_and_zeros(asm):
    program = asm('RET\n.data\n.ascii \'ab\'\n.asciz "c"\n.align 8\n.string ""\n.zero 3')
    assert program.rodata == b"abc\0\0\0\0\0" + b"\0" * 4


def test_an_escape_is_executed_as_the_reference_does_and_warned_about(asm):
    program = asm('RET\n.data\n.ascii "a\\n\\x41\\0"')
    assert program.rodata == b"a\nnA1\x000"
    (warning,) = program.warnings
    assert (warning.where.line, ".byte 10" in warning.hint) == (3, True)


def test_two_backslashes_begin_a_second_escape_as_in_the_reference(asm, problems):
    assert asm('RET\n.data\n.ascii "\\\\nx"').rodata == b"\\\nnx"
    assert "no escape" in problems('RET\n.data\n.ascii "a\\\\"')[0]


def test_org_fills_the_code_with_zero_words(asm):
    assert words(asm("RET\n.org 12\nRET")) == [0x25000000, 0, 0, 0x25000000]


@pytest.mark.parametrize(
    ("source", "entry"),
    [
        ("RET\nRET", 0),
        ("RET\n.entry b\nb: RET", 4),
        ("RET\n.entry\nRET", 4),
        ("RET\n.entry 4\nRET", 4),
        ("RET\n.entry a\na: RET\n_start: RET", 8),
    ],
)
def test_entry_is_start_or_what_the_source_names_or_the_first_instruction(asm, source, entry):
    assert asm(source).entry == entry


def test_declarations_of_one_file_program_change_nothing(asm):
    plain = asm("a: RET")
    declared = asm(".extern a\n.export a\n.import b\na: RET")
    assert declared.code == plain.code


def test_an_included_file_is_part_of_the_program_and_names_itself_in_errors(asm, problems):
    assert len(asm('.include "lib.mvasm"\nRET', lib="LDI R1, 1").code) == 8
    assert len(asm(".include lib.mvasm\nRET", lib="LDI R1, 1").code) == 8
    assert problems('RET\n.include "lib.mvasm"', lib="\nHALT")[0].startswith("lib.mvasm:2: no ins")


def test_includes_may_not_go_round(problems):
    assert "circle" in problems(".include main.mvasm")[0]
    assert "circle" in problems(".include lib.mvasm", lib=".include main.mvasm")[0]


def test_values_take_names_numbers_and_raw_bits(asm):
    program = asm(
        'RET\n.value {"group": 1, "id": "0x20", "name": "n", "unit": "V", "flags": "RO|PIN",'
        ' "auth": "ADMIN", "init": -2, "epsilon_raw": 14336, "max": 1e9, "persist": 5}'
    )
    (value,) = program.values
    assert isinstance(value, Value)
    assert vars(value) == {
        "group": 1,
        "id": 32,
        "flags": 9,
        "auth": 2,
        "init": 0xC000,
        "name": "n",
        "unit": "V",
        "epsilon": 14336,
        "min": 0,
        "max": 0x7C00,
        "persist_key": 5,
        "group_name": None,
    }


def test_commands_take_a_label_or_an_offset_as_handler(asm):
    program = asm(
        'RET\nh: RET\n.cmd [{"group": 1, "id": 1, "handler": "h"}, '
        '{"group": 1, "cmd": 2, "handler_offset": 4}]'
    )
    assert [command.handler for command in program.commands] == [4, 4]


def test_mailboxes_are_kept_as_they_stand(asm):
    entry = {"target": "app:t", "mode": "RDWR|TAP", "of_others": [1]}
    program = asm(f'RET\n.mailbox {json.dumps(entry)}\n.mailbox {{"name": " svc:x "}}')
    assert program.mailboxes == [entry, {"name": " svc:x ", "target": "svc:x"}]


def test_what_an_image_cannot_hold_is_a_warning(asm):
    program = asm('RET\n.value {"group": 1, "id": 1, "rate_ms": 5, "colour": "red"}')
    assert ["lost" in warning.what for warning in program.warnings] == [True, True]


def test_all_errors_come_at_once_in_the_order_of_the_source(problems):
    said = problems("JMP nowhere\nLDI R1, 9999\n.data\n.byte 300\nRET\n")
    assert [line.split(":")[1] for line in said] == ["1", "2", "4", "5"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("JMP far\n.org 4096\nfar: RET", "main.mvasm:1: 'far' at 0x1000 is out of reach"),
        ("CALL far\n.org 8192\nfar: RET", "main.mvasm:1: 'far' at 0x2000 is out of reach"),
        ("LDI R1, far\n.org 2048\nfar: RET", "main.mvasm:1: 'far' at 0x800 does not fit"),
        ("JMP d\n.data\nd: .zero 1", "main.mvasm:1: 'd' lies in .data"),
        ("LDI R1, off16(a)\na: RET", "off16() of 'a', which lies in .text"),
        ("CALL lo16(a)\na: RET", "a call cannot take lo16()"),
        ("JMP lop\nloop: RET", "Did you mean 'loop'?"),
        ("a: RET\na: RET", "main.mvasm:2: label 'a' stands at"),
        ("1a: RET", "is no name for a label"),
        (".entry gone\nRET", "main.mvasm:1: entry: no symbol 'gone'"),
        (".entry 2\nRET", "entry: 0x2 is no address of an instruction"),
        (".entry d\nRET\n.data\nd: .zero 1", "'d' lies in .data"),
        (".export gone\nRET", "main.mvasm:1: .export of 'gone'"),
        ("RET\n.include gone.mvasm", "No such file"),
        ("; nothing", "no instruction"),
        ("RET\n.data\nRET", "main.mvasm:3: instruction RET in .data"),
        (".byte 1\nRET", ".byte in .text"),
        ("RET\n.dta", "no directive '.dta'"),
        ("RET\n.org 2", ".org 2: not a multiple of 4"),
        ("RET\nRET\n.org 4", ".org 4"),
        ("RET\n.org 0x20000", "code grows beyond 65536 bytes"),
        ("RET\n.data\n.zero 99999999999", "data grows beyond"),
        ("RET\n.data\n.byte 1\n.align 99999999999", "data grows beyond"),
        ("RET\n.data\n.align 0", ".align 0"),
        ("RET\n.data\n.byte 256", "256 does not fit a byte"),
        ("RET\n.data\n.half b\n.zero 60000\nb:", "data grows"),
        ("RET\n.data\n.byte b\nb:", "'b' at 0x4001 does not fit a byte"),
        ("RET\n.data\n.byte", ".byte without a value"),
        ('RET\n.data\n.ascii "a;b"', "a ; starts a comment"),
        ('RET\n.data\n.ascii "\\q"', "no escape \\q"),
        ('RET\n.data\n.ascii "ä"', "In UTF-8 it is .byte 195, 164"),
        ('RET\n.value {"group": 1, "id": 0x10}', "JSON has no hex numbers"),
        ('RET\n.value {"group": 1,', "It stands on one line"),
        ("RET\n.value 5", "neither a JSON object nor an array"),
        ("RET\n.value " + "[" * 3000, "no JSON from"),
        ('RET\n.value {"id": 1}', "'group' is missing"),
        ('RET\n.value {"group": 1, "id": 256}', "'id' is no number from 0 to 255"),
        ('RET\n.value {"group": 1, "id": 1, "value": 2}', "'id' and 'value' are the same"),
        ('RET\n.value {"group": 1, "id": 1, "flags": "RO|WET"}', "'flags' has no WET"),
        ('RET\n.value {"group": 1, "id": 1, "init": "x"}', "'init' is no number"),
        ('RET\n.value [{"group": 1, "id": 1}, {"group": 1, "id": 1}]', "value 1:1 is declared"),
        ('RET\n.cmd {"group": 1, "id": 1, "handler": "gone"}', "handler: no symbol 'gone'"),
        ('RET\n.cmd {"group": 1, "id": 1, "handler": 2}', "handler: 0x2 is no address"),
        ('RET\nh:\n.cmd {"group": 1, "id": 1, "handler": "h"}', "handler: 0x4 is no address"),
        ("RET\n.entry h\nh:", "main.mvasm:2: entry: 0x4 is no address of an instruction"),
        ('RET\n.cmd {"group": 1, "id": 1, "flags": "RO"}', "'flags' has no RO"),
        ('RET\n.mailbox {"capacity": 5}', "mailbox has no target"),
        ('RET\n.mailbox [{"target": "app:a"}, {"target": "app:a"}]', "mailbox is declared twice"),
    ],
)
def test_a_wrong_statement_is_refused_with_its_place_and_reason(problems, source, message):
    assert any(message in line for line in problems(source))


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "x.mvasm").write_bytes(b"RET\n\xff\xfe")
    with pytest.raises(AssemblerError, match="not UTF-8 at byte 4"):
        assemble(tmp_path / "x.mvasm")
