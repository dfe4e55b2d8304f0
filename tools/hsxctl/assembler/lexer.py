# SPDX-License-Identifier: MIT
"""Source text to statements: lines, labels, operands, numbers and strings.

The language is the documented one (spec/hxe_v2.md section 11, spec/vm_isa.md section 9): one
statement a line, `;` starts a comment wherever it stands, also inside a string, so that a source
that passes here means the same to the reference.
"""

import re
from dataclasses import dataclass
from pathlib import Path

NAME = re.compile(r"[A-Za-z_.][A-Za-z0-9_.$]*")
_LABEL = re.compile(rf"({NAME.pattern})\s*:")
_NUMBER = re.compile(r"([+-]?)(?:0x([0-9a-f]+)|0b([01]+)|([0-9]+))", re.IGNORECASE)
_OPERAND = re.compile(
    r"""\s*(?:(\[[^\]]*\])            # [Rs+imm], blanks inside allowed
        |('(?:\\.|[^'\\])+'           # 'A'
        |"(?:\\.|[^"\\])*")           # "text"
        |([^\s,\[\]"']+))             # anything else up to a blank or comma
        \s*(,?)""",
    re.VERBOSE,
)
_ESCAPES = {"n": 10, "r": 13, "t": 9, "0": 0, "\\": 92, '"': 34, "'": 39}
_MAX_DIGITS = 40  # more are no number of ours, and int() takes quadratic time over them
_MAX_INCLUDES = 16


@dataclass(frozen=True)
class Where:
    """A line of a source file."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Problem:
    """What is wrong in a line, and what to write instead."""

    where: Where
    what: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" + (f". {self.hint}" if self.hint else "")


class SourceError(Exception):
    """One wrong statement; the assembler turns it into a Problem and goes on with the next."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


@dataclass(frozen=True)
class Statement:
    """One line: a label, an operation with its operands as text, or both."""

    where: Where
    label: str  # "" if there is none
    operation: str  # as written; "" if there is none
    operands: str


def read(path: Path, problems: list[Problem]) -> list[Statement]:
    """All statements of a file and of what it includes. OSError if the file cannot be read;
    what is wrong further down goes to `problems`."""
    return _read(path, str(path), (path.resolve(),), problems)


def _read(path: Path, name: str, above: tuple, problems: list[Problem]) -> list[Statement]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        problems.append(
            Problem(Where(name, 1), f"not UTF-8 at byte {error.start}", "Is this a source file?")
        )
        return []
    statements = []
    for number, line in enumerate(text.split("\n"), 1):
        where = Where(name, number)
        try:
            statement = _statement(where, line)
            if statement.operation.lower() == ".include":
                statements += _include(path, statement, above, problems)
            elif statement.label or statement.operation:
                statements.append(statement)
        except SourceError as error:
            problems.append(Problem(where, error.what, error.hint))
    return statements


def _statement(where: Where, line: str) -> Statement:
    body = line.split(";", 1)[0].strip()
    label = ""
    match = _LABEL.match(body)
    if match:
        label = match.group(1)
        body = body[match.end() :].strip()
    elif body.partition(" ")[0].endswith(":"):
        raise SourceError(
            f"'{_short(body)}' is no name for a label",
            "A name has letters, digits, _ . $ and starts with a letter, _ or a point.",
        )
    parts = body.split(None, 1)
    return Statement(where, label, parts[0] if parts else "", parts[1] if len(parts) > 1 else "")


def _include(
    path: Path, statement: Statement, above: tuple, problems: list[Problem]
) -> list[Statement]:
    text = statement.operands.strip()
    if not text:
        raise SourceError(".include has no file name", 'Write .include "other.mvasm".')
    name = string(text).decode() if text[0] in "\"'" else text
    if "\0" in name:
        raise SourceError(".include has a NUL in its file name")
    target = path.parent / name
    if target.resolve() in above:
        raise SourceError(f".include of {name} goes round in a circle")
    if len(above) >= _MAX_INCLUDES:
        raise SourceError(f".include is nested deeper than {_MAX_INCLUDES}")
    try:
        return _read(target, str(target), (*above, target.resolve()), problems)
    except OSError as error:
        raise SourceError(
            f".include of {name}: {error.strerror}",
            "The path is taken from the folder of the including file.",
        ) from None


def operands(text: str) -> list[str]:
    """The operands of an instruction or a data directive: separated by commas or blanks."""
    found = []
    at = 0
    comma = False
    while at < len(text.rstrip()):
        match = _OPERAND.match(text, at)
        if not match:
            rest = text[at:].strip()
            hint = "Each [ needs a ], each quote its partner."
            if rest[:1] in "\"'":
                hint = "The closing quote is missing (a ; starts a comment, also in a string)."
            raise SourceError(f"cannot read '{_short(rest)}'", hint)
        found.append(next(part for part in match.groups() if part))
        comma = bool(match.group(4))
        at = match.end()
    if comma:
        raise SourceError("a comma at the end", "Remove it, or write what should follow.")
    return found


def number(text: str) -> int | None:
    """An integer literal: decimal, 0x, 0b, with a sign, or a character as 'A'. None if `text` is
    something else."""
    match = _NUMBER.fullmatch(text)
    if match and len(text) <= _MAX_DIGITS:
        sign, hexadecimal, binary, decimal = match.groups()
        value = int(hexadecimal or binary or decimal, 16 if hexadecimal else 2 if binary else 10)
        return -value if sign == "-" else value
    if len(text) == 3 and text[0] == text[2] == "'" and ord(text[1]) < 128:
        return ord(text[1])
    return None


def string(text: str) -> bytes:
    """A quoted literal with the escapes \\n \\r \\t \\0 \\\\ \\" \\' and \\xNN, as the reference
    executes them: it reads the last character of an escape a second time, as text. So \\n is the
    bytes 0A 6E, and \\x41 is 41 31; the directives warn about it. Plain ASCII: the reference and
    its documents disagree about other characters.
    """
    text = text.strip()
    if len(text) < 2 or text[0] not in "\"'" or text[-1] != text[0]:
        raise SourceError(
            f"'{_short(text)}' is no string",
            'Write "text" on one line; a ; starts a comment, also in a string.',
        )
    body = text[1:-1]
    out = bytearray()
    at = 0
    while at < len(body):
        if body[at] == "\\":
            at += 1
            out.append(_escape(body[at : at + 3]))
            if body[at] == "x":
                at += 2
            elif body[at] == "\\":
                continue  # read again, it starts another escape
        elif body[at] == text[0]:
            raise SourceError(
                "a quote inside the string", "Use the other kind of quotes around it."
            )
        elif ord(body[at]) > 127:
            code = ", ".join(str(byte) for byte in body[at].encode("utf-8", "replace"))
            raise SourceError(f"'{body[at]}' is not ASCII", f"In UTF-8 it is .byte {code}.")
        out += body[at].encode()
        at += 1
    return bytes(out)


def _escape(text: str) -> int:
    """The byte that an escape stands for; `text` begins behind the backslash."""
    if text[:1] == "x":
        if re.fullmatch("[0-9a-fA-F]{2}", text[1:]):
            return int(text[1:], 16)
        raise SourceError(f"\\{text} is no character", "\\x takes two hex digits.")
    if text[:1] and text[0] in _ESCAPES:
        return _ESCAPES[text[0]]
    raise SourceError(
        f"no escape \\{text[:1]}", "There are \\n \\r \\t \\0 \\\\ \\\" \\' and \\xNN."
    )


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."
