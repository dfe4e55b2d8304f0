# SPDX-License-Identifier: MIT
"""The link step of one program: symbols into the places that wait for them, and the entry.

One source, with what it includes, is one program; `.extern` and `.import` therefore say nothing
that is not known here, and a name that is nowhere is an error.
"""

import difflib

from . import encoder
from .directives import Pending, Symbol, Unit, fit_data
from .lexer import Problem, SourceError


def link(unit: Unit) -> int:
    """Fills in every pending place of `unit` and gives the entry, a code offset in bytes.
    Problems go to `unit.problems`; the entry then means nothing."""
    for place in unit.pending:
        try:
            _fill(unit, place)
        except SourceError as error:
            unit.problems.append(Problem(place.where, error.what, error.hint))
    for where, name in unit.promised:
        if name not in unit.symbols:
            unit.problems.append(Problem(where, f".export of '{name}', which is not here"))
    for where, command, handler in unit.declared.handlers:
        try:
            command.handler = _instruction(unit, handler)
        except SourceError as error:
            unit.problems.append(Problem(where, f"handler: {error.what}", error.hint))
    return _entry(unit)


def _entry(unit: Unit) -> int:
    """Section 11's choice: `_start`, else what .entry names, else the first instruction."""
    if "_start" in unit.symbols:
        unit.entry = (unit.symbols["_start"].where, "_start")
    if unit.entry is None:
        return 0
    where, name = unit.entry
    try:
        return _instruction(unit, name)
    except SourceError as error:
        unit.problems.append(Problem(where, f"entry: {error.what}", error.hint))
        return 0


def _fill(unit: Unit, place: Pending) -> None:
    if place.field in ("byte", "half", "word"):
        value = _value(unit, place.reference)
        data = fit_data(place.field, value, f"'{place.reference.name}' at {value:#x}")
        unit.data[place.offset : place.offset + len(data)] = data
        return
    value = _value(unit, place.reference)
    text = f"'{place.reference.name}' at {value:#x}"
    if place.field in ("target", "call"):
        if place.reference.part:
            raise SourceError(f"a {place.field} cannot take {place.reference.part}()")
        value = _code_offset(unit, place.reference.name)
        if place.field == "call":
            value = (value - place.offset) // 4
    unit.code[place.offset // 4] |= encoder.fit(place.field, value, text)


def _value(unit: Unit, reference: encoder.Reference) -> int:
    symbol = _symbol(unit, reference.name)
    if reference.part == "off16":
        if symbol.section != "data":
            raise SourceError(
                f"off16() of '{reference.name}', which lies in .text",
                "It is the offset within .data.",
            )
        return symbol.offset
    if reference.part == "hi16":
        return symbol.address >> 16
    if reference.part == "lo16":
        return symbol.address & 0xFFFF
    return symbol.address


def _code_offset(unit: Unit, name: str) -> int:
    symbol = _symbol(unit, name)
    if symbol.section != "text":
        raise SourceError(f"'{name}' lies in .data, not in the code", f"See {symbol.where}.")
    return symbol.offset


def _instruction(unit: Unit, target: str | int) -> int:
    """The code offset of an instruction, by label or as it is."""
    offset = _code_offset(unit, target) if isinstance(target, str) else target
    if offset % 4 or not 0 <= offset < 4 * len(unit.code):
        raise SourceError(f"{offset:#x} is no address of an instruction here", "Name a label.")
    return offset


def _symbol(unit: Unit, name: str) -> Symbol:
    if name not in unit.symbols:
        near = difflib.get_close_matches(name, unit.symbols, 1)
        hint = f"Did you mean '{near[0]}'?" if near else "Names differ in upper and lower case."
        raise SourceError(f"no symbol '{name}' here or in what is included", hint)
    return unit.symbols[name]
