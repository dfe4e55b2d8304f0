# SPDX-License-Identifier: MIT
"""Directives that lay out code and data (spec/hxe_v2.md section 11).

A Unit takes one statement after the other and holds what they produced: code words, data bytes,
symbols, declarations, and the places that wait for a symbol. `linker.py` fills those in.
"""

import struct
from dataclasses import dataclass

from . import declarations, encoder, lexer
from .lexer import Problem, SourceError, Statement, Where

DATA_BASE = 0x4000  # where rodata lies in the guest's memory (spec/vm_isa.md section 5)
CODE_MAX = 0x10000  # bytes; spec/hxe_v2.md section 9, rule 7
DATA_MAX = 0xEFFC - DATA_BASE  # bytes; up to the stack of 4 KiB that the loader leaves room for
_WIDTHS = {".byte": 1, ".half": 2, ".hword": 2, ".word": 4}


@dataclass(frozen=True)
class Symbol:
    """A label: `section` is text or data, `offset` counts bytes from its start."""

    section: str
    offset: int
    where: Where

    @property
    def address(self) -> int:
        """What the guest calls it: a code address, or an address of its memory."""
        return self.offset + (DATA_BASE if self.section == "data" else 0)


@dataclass(frozen=True)
class Pending:
    """A place that waits for a symbol. `field`: one of encoder.Fixup's for code, where `offset`
    is the word's; byte, half or word for data."""

    where: Where
    field: str
    offset: int
    reference: encoder.Reference


class Unit:
    """One program as it is read. `problems` grows with every wrong statement; the rest counts."""

    def __init__(self) -> None:
        self.code: list[int] = []  # words
        self.data = bytearray()
        self.symbols: dict[str, Symbol] = {}
        self.pending: list[Pending] = []
        self.declared = declarations.Declarations()
        self.entry: tuple[Where, int | str] | None = None  # code offset or symbol
        self.promised: list[tuple[Where, str]] = []  # names that .export says are here
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self._section = "text"

    def take(self, statement: Statement) -> None:
        """Adds one statement; a wrong one only adds to `problems`."""
        try:
            if statement.label:
                self._label(statement)
            if statement.operation.startswith("."):
                self._directive(statement)
            elif statement.operation:
                self._instruction(statement)
        except SourceError as error:
            self.problems.append(Problem(statement.where, error.what, error.hint))

    @property
    def here(self) -> int:
        """Offset of the next byte in the current section."""
        return 4 * len(self.code) if self._section == "text" else len(self.data)

    def _label(self, statement: Statement) -> None:
        known = self.symbols.get(statement.label)
        if known:
            raise SourceError(
                f"label '{statement.label}' stands at {known.where} already", "Rename one of them."
            )
        self.symbols[statement.label] = Symbol(self._section, self.here, statement.where)

    def _instruction(self, statement: Statement) -> None:
        words, fixups = encoder.encode(statement.operation, statement.operands)
        if self._section != "text":
            raise SourceError(
                f"instruction {statement.operation.upper()} in .data", "Put .text before it."
            )
        for fixup in fixups:
            index = len(self.code) + fixup.index
            self.pending.append(Pending(statement.where, fixup.field, 4 * index, fixup.reference))
        self._room_for_code(4 * len(words))
        self.code += words

    def _directive(self, statement: Statement) -> None:
        name = statement.operation.lower()
        if name in (".text", ".data"):
            self._section = name[1:]
        elif name == ".entry":
            self._entry(statement)
        elif name in (".extern", ".export", ".import"):
            symbol = self._name(statement)
            if name == ".export":
                self.promised.append((statement.where, symbol))
        elif name == ".org":
            self._origin(statement)
        elif name in (".value", ".cmd", ".mailbox"):
            for warning in self.declared.add(name, statement.operands, statement.where):
                self.warnings.append(Problem(statement.where, warning))
        elif name in _WIDTHS or name in (".ascii", ".asciz", ".string", ".align", ".zero"):
            self._data_directive(name, statement)
        else:
            raise SourceError(
                f"no directive '{statement.operation}'",
                "There are .text .data .entry .org .byte .half .word .ascii .asciz .align .zero "
                ".value .cmd .mailbox .include .extern .export .import.",
            )

    def _entry(self, statement: Statement) -> None:
        if self._section != "text":
            raise SourceError(".entry in .data", "It belongs into .text.")
        text = statement.operands.strip()
        value = lexer.number(text) if text else self.here
        self.entry = (statement.where, self._name(statement) if value is None else value)

    def _origin(self, statement: Statement) -> None:
        if self._section != "text":
            raise SourceError(".org in .data", "Use .zero or .align there.")
        target = self._count(statement, "address")
        if target % 4 or target < self.here:
            raise SourceError(
                f".org {target}: not a multiple of 4 at or behind {self.here}",
                "It only fills the code up with zero words.",
            )
        self._room_for_code(target - self.here)
        self.code += [0] * ((target - self.here) // 4)

    def _data_directive(self, name: str, statement: Statement) -> None:
        if self._section != "data":
            raise SourceError(f"{name} in .text", "Put .data before it; code is always aligned.")
        if name in _WIDTHS:
            self._numbers(statement, _WIDTHS[name])
        elif name == ".align":
            step = self._count(statement, "alignment")
            if step == 0:
                raise SourceError(".align 0", "Write the number of bytes, for example 4.")
            self._append(bytes(min(-len(self.data) % step, DATA_MAX + 1)))
        elif name == ".zero":
            count = self._count(statement, "number of bytes")
            self._append(bytes(min(count, DATA_MAX + 1)))
        else:
            ending = b"" if name == ".ascii" else b"\0"
            self._append(self._string(statement, statement.operands) + ending)

    def _numbers(self, statement: Statement, width: int) -> None:
        field = {1: "byte", 2: "half", 4: "word"}[width]
        given = lexer.operands(statement.operands)
        if not given:
            raise SourceError(f"{statement.operation} without a value", "Write at least one.")
        for text in given:
            value = lexer.number(text)
            symbol = encoder.reference(text)
            if value is not None:
                self._append(fit_data(field, value, text))
            elif width == 1 and text[0] in "\"'":
                self._append(self._string(statement, text))
            elif symbol:
                self.pending.append(Pending(statement.where, field, len(self.data), symbol))
                self._append(bytes(width))
            else:
                raise SourceError(f"'{text}' is neither a number nor a symbol")

    def _string(self, statement: Statement, text: str) -> bytes:
        data = lexer.string(text)
        if "\\" in text:
            self.warnings.append(
                Problem(
                    statement.where,
                    f"escape: as in the reference, its last character is data too: {data!r}",
                    "Write the character as a number instead, for example .byte 10.",
                )
            )
        return data

    def _append(self, more: bytes) -> None:
        if len(self.data) + len(more) > DATA_MAX:
            raise SourceError(
                f"data grows beyond {DATA_MAX} bytes",
                "The rest of the guest's 64 KiB is its stack's.",
            )
        self.data += more

    def _room_for_code(self, more: int) -> None:
        if 4 * len(self.code) + more > CODE_MAX:
            raise SourceError(f"code grows beyond {CODE_MAX} bytes", "Make the program smaller.")

    def _name(self, statement: Statement) -> str:
        text = statement.operands.strip()
        if not lexer.NAME.fullmatch(text):
            raise SourceError(
                f"{statement.operation} takes one name, not '{text}'", "Write one line for each."
            )
        return text

    def _count(self, statement: Statement, meaning: str) -> int:
        value = lexer.number(statement.operands.strip())
        if value is None or value < 0:
            raise SourceError(f"{statement.operation} takes one {meaning}, 0 or more")
        return value


def fit_data(field: str, value: int, text: str) -> bytes:
    """`value` as little-endian bytes of a byte, half or word; SourceError if it does not fit.
    `text`: how it was written."""
    width = {"byte": 1, "half": 2, "word": 4}[field]
    top = 1 << 8 * width
    if not -top // 2 <= value < top:
        raise SourceError(f"{text} does not fit a {field}", f"It takes {-top // 2} to {top - 1}.")
    return struct.pack("<I", value % top)[:width]
