# SPDX-License-Identifier: MIT
"""`hsxctl asm`: source to image."""

import argparse
import hashlib
import io
from pathlib import Path

from hsx.errors import HsxError
from hsx.image.metadata import Info
from hsx.image.verify import verify

from .. import assembler, errors
from ..arguments import integer
from ..output import Output
from . import Commands

_ABI = 0x10000  # 1.0, the service calls that the language was written for
_SHOWN = 20  # problems; more do not help at once

_HELP = """\
Assembles a source, with what it includes, and links it to an HXE version 2 image. Needs: the
source file. All errors are shown at once; numbers that do not fit their place are refused.

example:
  hsxctl asm hello.mvasm -o hello.hxe
  hsxctl asm hello.mvasm -o hello.hxe --image-version 1.2.0 --epoch 3

the language, one statement a line, ; starts a comment (also inside a string):
  label:                              in .text a code address, in .data a guest address
  LDI R1, -5   LDI32 R1, label        LDI takes -2048 to 2047, LDI32 any 32 bits
  LD R1, [R2+4]   ST [R2+-4], R1      words; LDB LDH STB STH for bytes and half-words
  ADD R1, R2, R3                      SUB MUL DIV AND OR XOR LSL LSR ASR ADC SBC
  MOV R1, R2   NOT R1, R2             FADD FSUB FMUL FDIV, I2F F2I; CMP R1, R2; PUSH R1; POP R1
  JMP label   CALL label   RET        JZ JNZ; jumps reach code addresses 0 to 4095
  SVC MOD=0x1, FN=0x1   BRK 0         SVC 0x101 is the same
  .text .data .entry label .org n     .include "file"; .extern .export .import change nothing
  .byte 1, 'A', "text"                .half .word (little-endian); .ascii .asciz .align .zero
  .value {...} .cmd {...}             metadata, as JSON on one line: group, id, name, flags, auth,
  .mailbox {"target": "app:x"}        init, min, max, unit, persist_key; handler, help; capacity
  lo16(label) hi16(label)             off16(label): the offset inside .data
String escapes work as in the reference, which takes the last character of an escape as data too:
write .byte 10 for a line feed.
"""


def add_parser(commands: Commands) -> None:
    """Adds `asm` to the argument tree."""
    parser = commands.add_parser(
        "asm",
        help="assemble a source file to an image",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", type=Path, metavar="FILE.mvasm")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.hxe")
    parser.add_argument(
        "--app-name", metavar="NAME", help="default: the output file's name without .hxe"
    )
    parser.add_argument(
        "--req-cap",
        type=integer(0, 0xFFFF),
        default=0,
        metavar="MASK",
        help="capability bits, 0 to 0xffff",
    )
    parser.add_argument(
        "--single-instance", action="store_true", help="a node runs it at most once at a time"
    )
    parser.add_argument(
        "--image-version", metavar="TEXT", help="for people: at most 16 bytes, shown by nodes"
    )
    parser.add_argument(
        "--epoch",
        type=integer(0, 0xFFFFFFFF),
        metavar="N",
        help="security epoch: raise it when older images must not run any more; default 0",
    )
    parser.add_argument(
        "--stack",
        type=integer(0, 0xFFFF),
        metavar="N",
        help="bytes of stack; default 0, which leaves it to the node",
    )
    parser.add_argument(
        "--heap",
        type=integer(0, 0xFFFF),
        metavar="N",
        help="bytes of memory wanted behind the data; default 0",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Writes the image only if the whole source is right."""
    try:
        program = assembler.assemble(arguments.source)
    except assembler.AssemblerError as error:
        return _refuse(error.problems, output)
    for warning in program.warnings:
        output.note(f"warning: {warning}")
    name = arguments.output.stem if arguments.app_name is None else arguments.app_name
    source = str(arguments.source)
    try:
        image = assembler.image(
            program, name, arguments.req_cap, arguments.single_instance, _info(arguments)
        )
        head, _, _ = verify(io.BytesIO(image).readinto, bytearray(len(image)))
    except ValueError as error:
        raise errors.ToolError(f"no image can hold this: {error}", source) from None
    except HsxError as error:
        remedy = "A node would refuse the image: make it smaller."
        raise errors.ToolError(error.detail, source, remedy) from None
    arguments.output.write_bytes(image)
    output.result(
        {
            "file": str(arguments.output),
            "size": len(image),
            "sha256": hashlib.sha256(image).hexdigest(),
            "app_name": head.app_name,
            "entry": head.entry,
            "code_len": head.code_len,
            "ro_len": head.ro_len,
            "warnings": len(program.warnings),
        },
        f"{arguments.output}: {len(image)} bytes, app '{head.app_name}', "
        f"code {head.code_len}, data {head.ro_len}",
    )
    return errors.DONE


def _info(arguments: argparse.Namespace) -> Info | None:
    """What the image says of itself; None if nothing of it was given."""
    version, epoch = arguments.image_version, arguments.epoch
    stack, heap = arguments.stack, arguments.heap
    if version is None and epoch is None and stack is None and heap is None:
        return None
    return Info(version or "", epoch or 0, _ABI, stack or 0, heap or 0)


def _refuse(problems: list[assembler.Problem], output: Output) -> int:
    for problem in problems[:_SHOWN]:
        if output.as_json:
            facts = {
                "file": problem.where.file,
                "line": problem.where.line,
                "what": problem.what,
                "hint": problem.hint,
            }
            output.result(facts, "")
        output.note(str(problem))
    more = f", {_SHOWN} shown" if len(problems) > _SHOWN else ""
    output.note(
        f"hsxctl: {len(problems)} error{'s' * (len(problems) > 1)}{more}; no image written"
    )
    return errors.REFUSED
