# SPDX-License-Identifier: MIT
"""Instructions to words (spec/vm_isa.md sections 1, 3 and 9).

A word is `op[31:24] rd[23:20] rs1[19:16] rs2[15:12] imm12[11:0]`. What needs a symbol's address
is left zero and noted as a Fixup, which `linker.py` fills in. A value that does not fit its field
is refused; nothing is cut off.
"""

import re
from dataclasses import dataclass

from .lexer import NAME, SourceError, number, operands

# Mnemonic -> opcode and its operands in the order they are written. `rd`, `rs1`, `rs2`: a
# register in that field; `imm`: signed 12 bit; `mem`: [Rs1+imm]; `target`: absolute code address;
# `call`: relative to the CALL; `imm32`: a second word; `svc`, `code`: see below.
INSTRUCTIONS: dict[str, tuple[int, tuple[str, ...]]] = {
    "LDI": (0x01, ("rd", "imm")),
    "LD": (0x02, ("rd", "mem")),
    "ST": (0x03, ("mem", "rs2")),
    "MOV": (0x04, ("rd", "rs1")),
    "LDB": (0x06, ("rd", "mem")),
    "LDH": (0x07, ("rd", "mem")),
    "STB": (0x08, ("mem", "rs2")),
    "STH": (0x09, ("mem", "rs2")),
    "ADD": (0x10, ("rd", "rs1", "rs2")),
    "SUB": (0x11, ("rd", "rs1", "rs2")),
    "MUL": (0x12, ("rd", "rs1", "rs2")),
    "DIV": (0x13, ("rd", "rs1", "rs2")),
    "AND": (0x14, ("rd", "rs1", "rs2")),
    "OR": (0x15, ("rd", "rs1", "rs2")),
    "XOR": (0x16, ("rd", "rs1", "rs2")),
    "NOT": (0x17, ("rd", "rs1")),
    "CMP": (0x20, ("rs1", "rs2")),
    "JMP": (0x21, ("target",)),
    "JZ": (0x22, ("target",)),
    "JNZ": (0x23, ("target",)),
    "CALL": (0x24, ("call",)),
    "RET": (0x25, ()),
    "SVC": (0x30, ("svc",)),
    "LSL": (0x31, ("rd", "rs1", "rs2")),
    "LSR": (0x32, ("rd", "rs1", "rs2")),
    "ASR": (0x33, ("rd", "rs1", "rs2")),
    "ADC": (0x34, ("rd", "rs1", "rs2")),
    "SBC": (0x35, ("rd", "rs1", "rs2")),
    "PUSH": (0x40, ("rs1",)),
    "POP": (0x41, ("rd",)),
    "FADD": (0x50, ("rd", "rs1", "rs2")),
    "FSUB": (0x51, ("rd", "rs1", "rs2")),
    "FMUL": (0x52, ("rd", "rs1", "rs2")),
    "FDIV": (0x53, ("rd", "rs1", "rs2")),
    "I2F": (0x54, ("rd", "rs1")),
    "F2I": (0x55, ("rd", "rs1")),
    "LDI32": (0x60, ("rd", "imm32")),
    "BRK": (0x7F, ("code",)),
}

IMM_MIN, IMM_MAX = -2048, 2047
TARGET_MAX = 4095
_SHIFTS = {"rd": 20, "rs1": 16, "rs2": 12}
_WRITTEN = {
    "rd": "Rd",
    "rs1": "Rs",
    "rs2": "Rt",
    "imm": "number",
    "mem": "[Rs+offset]",
    "target": "label",
    "call": "label",
    "imm32": "number",
    "svc": "MOD=module, FN=function",
    "code": "number",
}
_REGISTER = re.compile(r"R([0-9]|1[0-5])", re.IGNORECASE)
_MEMORY = re.compile(r"\[\s*([^\s+]+)\s*\+\s*([^\]]*?)\s*\]")
_EXPRESSION = re.compile(rf"(lo16|hi16|off16)\(\s*({NAME.pattern})\s*\)")


@dataclass(frozen=True)
class Reference:
    """A symbol in an operand. `part`: "" for its address, else lo16, hi16 or off16."""

    name: str
    part: str = ""


@dataclass(frozen=True)
class Fixup:
    """A field that waits for a symbol. `field`: imm, target, call or imm32 in word `index`."""

    field: str
    index: int
    reference: Reference


def encode(mnemonic: str, text: str) -> tuple[list[int], list[Fixup]]:
    """The words of one instruction, and what is left to link; indices count from its first word.
    SourceError for anything that is no such instruction."""
    if mnemonic.upper() not in INSTRUCTIONS:
        raise SourceError(
            f"no instruction or directive '{mnemonic}'",
            "Directives start with a point; labels end with a colon.",
        )
    opcode, kinds = INSTRUCTIONS[mnemonic.upper()]
    given = operands(re.sub(r"\s*=\s*", "=", text)) if kinds == ("svc",) else operands(text)
    words = [opcode << 24]
    fixups: list[Fixup] = []
    if kinds == ("svc",):
        words[0] |= _service(given)
        return words, fixups
    if len(given) != len(kinds):
        raise SourceError(f"{mnemonic.upper()} has {_count(len(given))}", _usage(mnemonic))
    for kind, operand in zip(kinds, given, strict=True):
        try:
            _place(kind, operand, words, fixups)
        except SourceError as error:
            raise SourceError(error.what, error.hint or _usage(mnemonic)) from None
    return words, fixups


def reference(text: str) -> Reference | None:
    """A symbol or lo16(), hi16(), off16() of one; None if `text` is something else."""
    match = _EXPRESSION.fullmatch(text)
    if match:
        return Reference(match.group(2), match.group(1))
    return Reference(text) if NAME.fullmatch(text) else None


def _place(kind: str, operand: str, words: list[int], fixups: list[Fixup]) -> None:
    if kind in _SHIFTS:
        words[0] |= _register(operand) << _SHIFTS[kind]
    elif kind == "mem":
        match = _MEMORY.fullmatch(operand)
        if not match:
            raise SourceError(
                f"'{operand}' is no memory operand",
                "Write '[R9+0]'; a negative offset is '[R9+-4]'.",
            )
        words[0] |= _register(match.group(1)) << 16
        _immediate("imm", match.group(2), words, fixups)
    elif kind == "imm32":
        words.append(0)
        _immediate(kind, operand, words, fixups)
    elif kind == "code":
        value = number(operand)
        if value is None or not 0 <= value <= 255:
            raise SourceError(f"'{operand}' is no code from 0 to 255")
        words[0] |= value
    else:
        _immediate(kind, operand, words, fixups)


def _immediate(field: str, operand: str, words: list[int], fixups: list[Fixup]) -> None:
    value = number(operand)
    if value is not None:
        words[-1] |= fit(field, value, operand)
        return
    symbol = reference(operand)
    if symbol is None:
        raise SourceError(f"'{operand}' is neither a number nor a symbol")
    fixups.append(Fixup(field, len(words) - 1, symbol))


def fit(field: str, value: int, text: str) -> int:
    """`value` as the bits of a field; SourceError if it does not fit. `text`: how it was written.

    A CALL's number is an offset in words from the CALL itself, a jump's the address in bytes.
    """
    if field == "imm32":
        if not -0x80000000 <= value <= 0xFFFFFFFF:
            raise SourceError(f"{text} does not fit 32 bits", "It is the largest immediate.")
        return value & 0xFFFFFFFF
    if field == "target":
        if not 0 <= value <= TARGET_MAX:
            raise SourceError(
                f"{text} is out of reach: a jump goes to code addresses 0 to {TARGET_MAX}",
                "Move the code down, or use CALL, which reaches further.",
            )
        return value
    if not IMM_MIN <= value <= IMM_MAX:
        if field == "call":
            raise SourceError(
                f"{text} is out of reach: a CALL goes {IMM_MIN} to {IMM_MAX} words from itself",
                "Move the two closer together.",
            )
        raise SourceError(
            f"{text} does not fit: {IMM_MIN} to {IMM_MAX}",
            "Load it into a register with LDI32.",
        )
    return value & 0xFFF


def _register(text: str) -> int:
    match = _REGISTER.fullmatch(text)
    if not match:
        raise SourceError(f"'{text}' is no register", "They are R0 to R15.")
    return int(match.group(1))


def _service(given: list[str]) -> int:
    hint = "Write 'SVC MOD=0x5, FN=0x2' or 'SVC 0x502'."
    if len(given) == 1 and "=" not in given[0]:
        value = number(given[0])
        if value is None or not 0 <= value <= 0xFFF:
            raise SourceError(f"'{given[0]}' is no service number from 0 to 0xFFF", hint)
        return value
    if len(given) == 2 and not any("=" in operand for operand in given):
        raise SourceError(
            "SVC with two plain numbers: the reference makes SVC 0x000 of this form", hint
        )
    fields = {}
    for operand in given:
        key, _, text = operand.partition("=")
        value = number(text)
        if key.upper() not in ("MOD", "FN") or key.upper() in fields or value is None:
            raise SourceError(f"SVC does not take '{operand}'", hint)
        fields[key.upper()] = value
    if len(fields) != 2:
        raise SourceError("SVC needs a module and a function", hint)
    if not 0 <= fields["MOD"] <= 15:
        raise SourceError(
            f"module {fields['MOD']:#x} does not fit the four bits of an SVC",
            "Modules are 0x0 to 0xF; the reference drops the upper bits.",
        )
    if not 0 <= fields["FN"] <= 255:
        raise SourceError(f"function {fields['FN']:#x} does not fit", "Functions are 0 to 0xFF.")
    return fields["MOD"] << 8 | fields["FN"]


def _usage(mnemonic: str) -> str:
    kinds = INSTRUCTIONS[mnemonic.upper()][1]
    return (
        f"Write '{' '.join([mnemonic.upper(), ', '.join(_WRITTEN[k] for k in kinds)]).strip()}'."
    )


def _count(operand_count: int) -> str:
    return {0: "no operand", 1: "one operand"}.get(operand_count, f"{operand_count} operands")
