# SPDX-License-Identifier: MIT
"""MVASM to HXE: one source file, with what it includes, to one image.

`lexer` makes statements, `encoder` instruction words, `directives` the layout of code and data,
`declarations` the metadata, `linker` puts addresses in. The language is the reference's
(spec/hxe_v2.md section 11, spec/vm_isa.md section 9), and what it accepts gives the same bytes;
what the reference lets pass although it means nothing (numbers cut off, unknown forms) is refused.
All problems of a source are reported at once, each with file, line, what, and what to write.
"""

from dataclasses import dataclass
from pathlib import Path

from hsx.image import build, metadata

from . import lexer, linker
from .directives import Unit
from .lexer import Problem

__all__ = ["AssemblerError", "Problem", "Program", "assemble", "image"]


class AssemblerError(Exception):
    """The source is wrong; `problems` says where, in the order of the source."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


@dataclass
class Program:
    """What a source holds, linked: `code` and `rodata` as they stand in an image, `entry` a byte
    offset into the code; `warnings` need not stop anybody."""

    code: bytes
    rodata: bytes
    entry: int
    values: list[metadata.Value]
    commands: list[metadata.Command]
    mailboxes: list[dict]
    warnings: list[Problem]


def assemble(path: Path) -> Program:
    """The program in the file `path`. AssemblerError; OSError if the file cannot be read."""
    problems: list[Problem] = []
    statements = lexer.read(path, problems)
    unit = Unit()
    for statement in statements:
        unit.take(statement)
    entry = linker.link(unit)
    problems += unit.problems
    if not problems and not unit.code:
        problems.append(
            Problem(lexer.Where(str(path), 1), "no instruction", "A program needs at least one.")
        )
    if problems:
        raise AssemblerError(sorted(problems, key=lambda p: (p.where.file, p.where.line)))
    return Program(
        code=b"".join(word.to_bytes(4, "big") for word in unit.code),
        rodata=bytes(unit.data),
        entry=entry,
        values=unit.declared.values,
        commands=unit.declared.commands,
        mailboxes=unit.declared.mailboxes,
        warnings=unit.warnings,
    )


def image(
    program: Program,
    app_name: str,
    req_caps: int = 0,
    single_instance: bool = False,
    info: metadata.Info | None = None,
) -> bytes:
    """The HXE file of a program. `app_name`: what is not ASCII is dropped, cut to 31 characters.
    `req_caps`: the capability bits, 16 of them. ValueError if no image can hold it."""
    sections = []
    if program.values:
        sections.append(build.value_section(program.values))
    if program.commands:
        sections.append(build.command_section(program.commands))
    if program.mailboxes:
        sections.append(build.mailbox_section(program.mailboxes))
    if info is not None:
        sections.append(build.info_section(info))
    return build.build(
        program.code,
        program.rodata,
        name=app_name.strip()[:31],
        entry=program.entry,
        flags=0 if single_instance else 2,
        req_caps=req_caps,
        sections=sections,
    )
