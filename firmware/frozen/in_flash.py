# SPDX-License-Identifier: MIT
"""Freezes modules as MicroPython does, then lays down in flash what it would build in RAM of them.

    in_flash.py COMMAND -o FILE -b BUILD ...

runs the command, MicroPython's `makemanifest.py`, and appends to the C file that it made: an
object for each function whose defaults are constants, and a table for each class that holds only
such functions, properties of them, and constants. `in_flash.c` hands them out. What is not
understood here is left out, and is built in RAM as ever.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

_MARK = "// Laid down by in_flash.py.\n"
_BODY = r"\{\n(.*?)^\};"
_FLAGS = re.MULTILINE | re.DOTALL
_FUNCTION = re.compile(
    r"^// frozen bytecode for file (\S+), scope \w+\n"
    r"static const byte fun_data_(\w+)\[\d+\] = " + _BODY,
    _FLAGS,
)
_CHILDREN = re.compile(
    r"^static const mp_raw_code_t \*const children_(\w+)\[\] = " + _BODY, _FLAGS
)
_NAMES = re.compile(
    r"^static const qstr_short_t const_qstr_table_data_\w+\[\d+\] = " + _BODY, _FLAGS
)
_FILE = re.compile(r"^// - frozen file name: (\S+)$", re.MULTILINE)
_LINE = re.compile(r"^    ((?:0x[0-9a-f]{2},)+) // (\S+)(?: (.*))?$", re.MULTILINE)
_NO_OPS = ("names:", "code")  # what the prelude's lines say of themselves
_CLASS_HEAD = ("LOAD_NAME '__name__'", "STORE_NAME '__module__'")
_CLASS_HEAD_SIZE = 4  # with __qualname__ and its text


class Op(NamedTuple):
    """One instruction: its bytes, its name, and what the C file says of its argument."""

    code: bytes
    name: str
    argument: str

    @property
    def number(self) -> int:
        """The argument in the bytes."""
        value = 0
        for byte in self.code[1:]:
            value = value << 7 | byte & 0x7F
        return value


class Function(NamedTuple):
    """What a frozen file has in bytecode: a function, a class or the module itself. `names`: its
    file's names in C, as the instructions number them."""

    name: str  # of its C objects
    file: str
    prelude: bytes
    ops: list[Op]
    children: list[str]
    names: list[str]

    @property
    def kind(self) -> str:
        """Its C type. A generator has the lowest scope flag: in the second byte, if any."""
        generates = self.prelude[0] & 0x80 and self.prelude[1] & 0x40
        return "gen_wrap" if generates else "fun_bc"

    def constant(self, op: Op) -> str | None:
        """What an instruction loads, in C; None if that is not known before it runs."""
        if op.name == "LOAD_CONST_SMALL_INT":
            return f"MP_ROM_INT({op.argument})"
        if op.name == "BUILD_TUPLE" and not op.number:
            return "MP_ROM_PTR(&mp_const_empty_tuple_obj)"
        if op.name == "LOAD_CONST_STRING":
            return f"MP_ROM_QSTR({self.names[op.number]})"
        plain = re.fullmatch("LOAD_CONST_(NONE|FALSE|TRUE)", op.name)
        return f"MP_ROM_{plain[1]}" if plain else None

    def made(self) -> dict[int, list[str]]:
        """The children that it makes with constants for defaults: number -> these in C."""
        found: dict[int, list[str]] = {}
        for at, op in enumerate(self.ops):
            if op.name == "MAKE_FUNCTION":
                found[op.number] = []
            elif op.name == "MAKE_FUNCTION_DEFARGS":
                tuple_, no_dict = self.ops[at - 2 : at]
                if (tuple_.name, no_dict.name) == ("BUILD_TUPLE", "LOAD_NULL"):
                    loads = self.ops[at - 2 - tuple_.number : at - 2]
                    constants = [c for c in map(self.constant, loads) if c is not None]
                    if len(constants) == tuple_.number:
                        found[op.number] = constants
        return found

    def members(self) -> dict[str, list[str]] | None:
        """Of a class: its names, each with a constant in C, or a function's name; for a property
        the name of its getter or of that and its setter, behind the word `property`. None for
        what is no class or holds anything else."""
        said = [f"{op.name} {op.argument}" for op in self.ops[:2]]
        if said != list(_CLASS_HEAD):
            return None
        made = self.made()
        found: dict[str, list[str]] = {}
        ops = self.ops[_CLASS_HEAD_SIZE:-2]  # less the return of None
        begin = 0
        for at, op in enumerate(ops):
            if op.name != "STORE_NAME":
                continue
            value = ops[begin:at]
            begin = at + 1
            name = self.names[op.number]
            before: list[str] = []
            if value and value[-1].name == "CALL_FUNCTION":  # of a decorator
                decorator = [f"{op.name} {op.argument}" for op in value[:-2]]
                if decorator == ["LOAD_NAME 'property'"]:
                    before = ["property"]
                elif decorator == [f"LOAD_NAME {op.argument}", "LOAD_ATTR 'setter'"]:
                    before = found.get(name, [])
                if not before:
                    return None
                value = value[-2:-1]
            last = value[-1] if value else op
            constant = self.constant(last) if len(value) == 1 else None
            if last.name.startswith("MAKE_FUNCTION") and last.number in made:
                found[name] = [*before, self.children[last.number]]
            elif constant is not None:
                found[name] = [constant]
            else:
                return None
        return found if begin == len(ops) else None


def read(text: str) -> tuple[list[str], dict[str, Function]]:
    """The frozen files in their order, and by name all that is in bytecode in them."""
    files = _FILE.findall(text)
    tables = [re.findall(r"MP_QSTR\w+", table) for table in _NAMES.findall(text)]
    names = dict(zip(files, tables, strict=True))
    children = {
        name: re.findall(r"&proto_fun_(\w+)", body) for name, body in _CHILDREN.findall(text)
    }
    found: dict[str, Function] = {}
    for file, name, body in _FUNCTION.findall(text):
        lines = [
            Op(bytes(int(byte, 16) for byte in code.split(",")[:-1]), op, argument)
            for code, op, argument in _LINE.findall(body)
        ]
        prelude, *rest = lines
        ops = [op for op in rest if op.name not in _NO_OPS]
        found[name] = Function(name, file, prelude.code, ops, children.get(name, []), names[file])
    return files, found


def generate(text: str) -> str:
    """The C text that belongs behind the frozen modules."""
    files, found = read(text)
    functions: dict[str, list[str]] = {file: [] for file in files}
    classes: dict[str, list[str]] = {file: [] for file in files}
    out = [
        _MARK,
        '#include "in_flash.h"\n\n',
        f"mp_module_context_t hsx_flash_contexts[{len(files)}];\n",
        f"const size_t hsx_flash_count = {len(files)};\n\n",
    ]
    for parent in found.values():
        for number, constants in parent.made().items():
            child = found.get(parent.children[number])
            if child is None:
                continue  # machine code
            functions[child.file].append(f"&function_{child.name}")
            table = f"(void *)children_{child.name}" if child.children else "NULL"
            out.append(
                f"static const hsx_flash_function_t function_{child.name} = {{\n"
                f"    {{&mp_type_{child.kind}}}, &hsx_flash_contexts[{files.index(child.file)}],\n"
                f"    {table}, fun_data_{child.name}, {{{', '.join(constants)}}},\n}};\n"
            )
        members = parent.members()
        if members:
            classes[parent.file].append(f"&class_{parent.name}")
            out += _class(parent.name, members)
    out.append("const hsx_flash_module_t hsx_flash_modules[] = {\n")
    for file in files:
        out.append("    {")
        for type_, items in (
            ("hsx_flash_function_t", functions[file]),
            ("mp_obj_dict_t", classes[file]),
        ):
            out.append(
                f"(const {type_} *const []) {{{', '.join(items)}}}, " if items else "NULL, "
            )
        out.append(f"{len(functions[file])}, {len(classes[file])}}}, // {file}\n")
    out.append("};\n")
    return "".join(out)


def _class(name: str, members: dict[str, list[str]]) -> list[str]:
    """The table of a class, with its properties before it."""
    before = []
    lines = []
    for key, (value, *functions) in members.items():
        place = value if value.startswith("MP_ROM") else f"MP_ROM_PTR(&function_{value})"
        if functions:
            proxies = [f"MP_ROM_PTR(&function_{function})" for function in functions]
            proxies += ["MP_ROM_NONE"] * (3 - len(proxies))
            before.append(
                f"static const hsx_flash_property_t property_{functions[0]} = "
                f"{{{{&mp_type_property}}, {{{', '.join(proxies)}}}}};\n"
            )
            place = f"MP_ROM_PTR(&property_{functions[0]})"
        lines.append(f"    {{MP_ROM_QSTR({key}), {place}}},\n")
    return [
        *before,
        f"static const mp_rom_map_elem_t table_{name}[] = {{\n",
        *lines,
        f"}};\nstatic MP_DEFINE_CONST_DICT(class_{name}, table_{name});\n",
    ]


def main() -> None:
    """Makes the C file as the command does, and appends to it."""
    command = sys.argv[1:]
    path = Path(command[command.index("-o") + 1])
    names = Path(command[command.index("-b") + 1]) / "genhdr/qstrdefs.preprocessed.h"
    if path.exists() and path.stat().st_mtime < names.stat().st_mtime:
        path.unlink()  # the command does not notice that the firmware's own names have changed
    subprocess.run(command, check=True)
    text = path.read_text()
    frozen = text.partition(_MARK)[0]
    whole = frozen + generate(frozen)
    if whole != text:
        path.write_text(whole)


if __name__ == "__main__":
    main()
