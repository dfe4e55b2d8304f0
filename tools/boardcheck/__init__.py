# SPDX-License-Identifier: MIT
"""Checks an STM32 board's folder without the board and without ST's HAL.

`Board(folder, micropython)` reads the configuration as MicroPython's own build would; each check
returns what is wrong, as sentences; an empty list is a pass. docs/porting.md is the way through.
"""

import ast
import csv
import json
import os
import re
import subprocess
import sys
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from hsx.boot import config_file
from hsx.boot.config import Config
from hsx.errors import HsxError

ROOT = Path(__file__).resolve().parents[2]
STANDINS = Path(__file__).parent / "standins"
# Heap that a node takes besides its pool, with a fifth of 96 KiB free: the emulated board has 96
# KiB and a pool of 34 KiB, and `make memory` watches over it.
NODE_HEAP = (96 - 34) * 1024
_MONOCYPHER = Path(os.environ.get("CACHE", ROOT / ".cache")) / "monocypher-4.0.3"
# Flash of frozen modules in hundredths of their .mpy files: 118 on all four boards.
_FROZEN = 120
# What MicroPython calls of the native modules.
_CALLED = (
    "hsxvm_user_cmodule",
    "hsx_flash_module",
    *("__wrap_mp_init", "__wrap_gc_collect_start"),
    *("__wrap_mp_obj_new_module", "__wrap_mp_make_function_from_proto_fun"),
)
# In C files of their own that need nothing of the HAL.
_PORTABLE = ("array", "binascii", "collections", "gc", "hashlib", "json", "struct")
_CORES = {"f4": "cortex-m4", "g4": "cortex-m4", "f7": "cortex-m7", "h7": "cortex-m7"}
_HEADERS = ("native", "native/bindings/builtin", "frozen")
_FPUS = {"single": "fpv4-sp-d16", "double": "fpv5-d16"}


def run(*command: "str | Path", **options: Any) -> str:
    """What a program prints. Raises RuntimeError with what it said of its failure."""
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode:
        raise RuntimeError(f"{Path(command[0]).name}: {done.stderr.strip()[-2000:]}")
    return done.stdout


def place(folder: Path) -> str:
    """A path of it that make takes."""
    return run("sh", ROOT / "tools/setup/place.sh", folder).rstrip("\n")


class Board:
    """`folder`: BOARD_DIR; `micropython`: a source of 1.25 or newer; `work`: where output goes."""

    def __init__(self, folder: Path, micropython: Path, work: Path) -> None:
        self.folder = folder.resolve()
        self.name = self.folder.name
        self.micropython = micropython.resolve()
        self.port = self.micropython / "ports" / "stm32"
        self.work = work
        work.mkdir(parents=True, exist_ok=True)
        self.facts = json.loads((self.folder / "board.json").read_text())

    @cached_property
    def make(self) -> "dict[str, str]":
        """Variables of mpconfigboard.mk."""
        script = (
            f"BOARD_DIR={place(self.folder)}\nBOARD={self.name}\nBUILD={place(self.work)}\n"
            "include $(BOARD_DIR)/mpconfigboard.mk\n"
            "show: ; @$(foreach v,$(.VARIABLES),$(if $(filter file,$(origin $(v))),"
            "$(info $(v)=$($(v)))))\n.DEFAULT_GOAL := show\n"
        )
        text = run("make", "-s", "-C", self.port, "-f", "-", input=script)
        return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)

    @cached_property
    def compiler(self) -> "list[str]":
        """The compiler with the options of this core and the headers of the port."""
        series = self.make["MCU_SERIES"]
        single = self.make.get("MICROPY_FLOAT_IMPL", "single") == "single" or series != "h7"
        return [
            "arm-none-eabi-gcc",
            *("-mthumb", "-mabi=aapcs-linux", "-mfloat-abi=hard", f"-mcpu={_CORES[series]}"),
            f"-mfpu={_FPUS['single' if single else 'double']}",
            *("-std=gnu99", "-Os", "-Wall", "-Werror", "-DNDEBUG", "-ffunction-sections"),
            "-fdata-sections",
            *(f"-D{self.make['CMSIS_MCU']}", f"-DSTM32{series.upper()}"),
            *('-DSTM32_HAL_H="hal.h"', "-DHSX_ED25519=1"),
            *(f"-I{path}" for path in (self.folder, self.port, self.micropython, self.work)),
            *(f"-I{path}" for path in (STANDINS, self.micropython / "lib/cmsis/inc")),
            *(f"-I{ROOT / 'firmware' / path}" for path in _HEADERS),
            f"-I{_MONOCYPHER}",
        ]

    @cached_property
    def macros(self) -> "dict[str, str]":
        """What mpconfigboard.h defines, MicroPython's own included."""
        text = run(*self.compiler, "-E", "-dM", "-x", "c", self.folder / "mpconfigboard.h")
        found = re.findall(r"^#define (MICROPY_\w+) ?(.*)$", text, re.M)
        return {name: value.strip("() ") for name, value in found}

    @cached_property
    def module(self) -> "dict[str, Any]":
        """The names of board.py, read without MicroPython."""
        tree = (self.folder / "board.py").read_text()
        found: dict[str, Any] = {}
        for name in ("NAME", "POOL", "FRAM", "KEPT", "BOOT", "PINS"):
            match = re.search(rf"^{name} = ((?:.|\n)*?)(?=\n\n|\n[#@\w])", tree, re.M)
            if match:
                found[name] = eval(match.group(1), {"const": lambda value: value})
        return found

    @cached_property
    def functions(self) -> "dict[str, set[str]]":
        """Alternate functions by pin, from the port's table of the part."""
        table: dict[str, set[str]] = {}
        with (self.port / self.make["AF_FILE"]).open() as file:
            for row in csv.reader(file):
                if len(row) > 2 and row[0].startswith("Port"):
                    names = {part for cell in row[2:] for part in cell.strip().split("/")}
                    table[row[1].strip()] = names
        return table

    @cached_property
    def regions(self) -> "dict[str, int]":
        """Memories of the linker scripts, bytes."""
        text = "".join((self.port / name).read_text() for name in self.make["LD_FILES"].split())
        found = re.findall(r"^\s*(\w+) \(\w+\)\s*: ORIGIN = \w+, LENGTH = (\d+)K", text, re.M)
        return {name: int(size) * 1024 for name, size in found}


def check_config(board: Board) -> "list[str]":
    """The folder has what MicroPython's build and a node need."""
    wrong = []
    for name in ("MCU_SERIES", "CMSIS_MCU", "AF_FILE", "LD_FILES"):
        if name not in board.make:
            wrong.append(f"mpconfigboard.mk: {name} is missing")
    if not board.macros.get("MICROPY_HW_BOARD_NAME"):
        wrong.append("mpconfigboard.h: no MICROPY_HW_BOARD_NAME")
    if board.macros.get("MICROPY_HW_SDCARD_MOUNT_AT_BOOT") != "0":
        wrong.append("mpconfigboard.h: MicroPython mounts the card: include ../stm32/node.h")
    for name in ("NAME", "POOL", "FRAM", "KEPT", "PINS"):
        if name not in board.module:
            wrong.append(f"board.py: {name} is missing")
    if board.module.get("NAME") != board.name:
        wrong.append(f"board.py: NAME is not {board.name}")
    text = json.dumps({"schema": 1, **dict(board.module.get("BOOT", ()))})
    try:
        config_file.take(text.encode(), False, Config())
    except HsxError as error:
        wrong.append(f"board.py: BOOT: {error.detail}")
    return wrong


def check_modules(board: Board) -> "list[str]":
    """MicroPython's own modules have on this board what the frozen files take from them."""
    write_headers(board)
    wrong = []
    for module, names in asked_of_micropython(board).items():
        source = next(board.micropython.glob(f"*/mod{module}.c"))
        text = run(*board.compiler, "-w", "-E", source)
        own = "".join(re.findall(r'^# \d+ "[^"]*/mod\w+\.c".*\n((?:[^#].*\n|\n)*)', text, re.M))
        lost = sorted(name for name in names if f"MP_QSTR_{name})" not in own)
        wrong += [f"mpconfigboard.h: leaves {module}.{name} out" for name in lost]
    return wrong


def asked_of_micropython(board: Board) -> "dict[str, set[str]]":
    """What the frozen files use of the modules that are the same on all ports, by module."""
    found: dict[str, set[str]] = {name: set() for name in _PORTABLE}
    for path, _ in frozen(board):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module in found and not node.level:
                found[node.module] |= {alias.name for alias in node.names}
            elif isinstance(node, ast.Attribute):
                name = node.value.id if isinstance(node.value, ast.Name) else ""
                found.get(name, set()).add(node.attr)
    return found


def check_pins(board: Board) -> "list[str]":
    """Each pin of PINS exists, is where the configuration puts that signal, can be that signal,
    and is used once."""
    wrong = []
    listed = (board.port / board.make.get("BASE_DIR", "") / "pins.csv").resolve()
    own = board.folder / "pins.csv"
    with (own if own.exists() else listed).open() as file:
        known = {row[1].strip().lstrip("-") for row in csv.reader(file) if len(row) > 1}
    used: dict[str, str] = {}
    slot = board.macros.get("MICROPY_HW_ENABLE_SDCARD") == "1"
    for signal, pin in board.module["PINS"]:
        if pin in used:
            wrong.append(f"{pin} is {used[pin]} and {signal}")
        used[pin] = signal
        if pin not in known:
            wrong.append(f"{pin} ({signal}) is not in pins.csv")
        default = "pin_" + pin[1:] if signal.startswith("SDCARD_") and slot else "nothing"
        if signal == "SDCARD_DETECT_PIN":
            default = "nothing"
        there = board.macros.get("MICROPY_HW_" + signal, default)
        if there != "pin_" + pin[1:]:
            wrong.append(f"{signal}: mpconfigboard.h has {there}, board.py {pin}")
        able = board.functions.get(pin, set())
        if signal != "SDCARD_DETECT_PIN" and not able & names_of(signal):
            wrong.append(f"{pin} cannot be {signal}: {' '.join(sorted(able - {''}))}")
    return wrong


def names_of(signal: str) -> "set[str]":
    """What the tables of the parts call a signal."""
    unit, _, role = signal.partition("_")
    if unit == "SDCARD":
        return {f"SDIO_{role}", f"SDMMC_{role}", f"SDMMC1_{role}"}
    return {signal, f"US{signal[1:]}" if unit[:4] == "UART" else signal, "FD" + signal}


def check_frozen(board: Board) -> "list[str]":
    """MicroPython's compiler takes all that the manifest names, for this architecture."""
    return [] if frozen_bytes(board) else ["manifest.py: nothing is frozen"]


@cache
def frozen(board: Board) -> "list[tuple[Path, str]]":
    """What the manifest names: file, and its path in the firmware."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import manifestfile as m\n"
        "f = m.ManifestFile(m.MODE_FREEZE, {'MPY_DIR': sys.argv[2], 'BOARD_DIR': sys.argv[3],"
        "'PORT_DIR': sys.argv[4], 'MPY_LIB_DIR': sys.argv[2]})\n"
        "f.execute(sys.argv[5])\nfor x in f.files(): print(x.full_path, x.target_path)"
    )
    tools = board.micropython / "tools"
    paths = (tools, board.micropython, board.folder, board.port, board.folder / "manifest.py")
    lines = run(sys.executable, "-c", code, *paths).splitlines()
    pairs = (line.rsplit(maxsplit=1) for line in lines)
    return [(Path(source), target) for source, target in pairs]


@cache
def frozen_bytes(board: Board) -> int:
    """Bytes that the frozen modules take in flash, at most."""
    cross = board.micropython / "mpy-cross/build/mpy-cross"
    total = 0
    for source, target in frozen(board):
        out = board.work / "frozen.mpy"
        run(cross, "-march=armv7m", "-s", target, "-o", out, source)
        total += out.stat().st_size
    return total * _FROZEN // 100


def check_native(board: Board) -> "list[str]":
    """The native modules compile for this core, with the port's headers."""
    native_bytes(board)
    return []


def native_sources() -> "list[Path]":
    """The C files of the native modules."""
    bindings = ROOT / "firmware/native/bindings"
    return [
        *sorted((ROOT / "firmware" / "native").glob("*.c")),
        bindings / "micropython.c",
        bindings / "signatures.c",
        _MONOCYPHER / "monocypher.c",
        ROOT / "firmware/frozen/in_flash.c",
    ]


@cache
def write_headers(board: Board) -> None:
    """The headers that MicroPython's build generates, with what the native modules need."""
    genhdr = board.work / "genhdr"
    genhdr.mkdir(exist_ok=True)
    (genhdr / "mpversion.h").write_text("")
    (genhdr / "moduledefs.h").write_text("")
    text = "".join(
        path.read_text() for path in (*native_sources(), *(board.micropython / "py").glob("*.h"))
    )
    names = sorted(set(re.findall(r"\bMP_QSTR_(\w+)", text)) - {"NULL"})
    lines = ['QDEF0(MP_QSTRnull, 0, 0, "")', 'QDEF0(MP_QSTR_, 5381, 0, "")']
    lines += [f'QDEF1(MP_QSTR_{name}, 0, {len(name)}, "{name}")' for name in names if name]
    (genhdr / "qstrdefs.generated.h").write_text("\n".join(lines) + "\n")
    (genhdr / "root_pointers.h").write_text("")


@cache
def native_bytes(board: Board) -> "tuple[int, int]":
    """Flash and static RAM of the native modules, without what nobody calls: that is most of
    Monocypher."""
    write_headers(board)
    objects = []
    for source in native_sources():
        objects.append(board.work / (source.stem + ".o"))
        run(*board.compiler, "-c", source, "-o", objects[-1])
    linked = board.work / "native.elf"
    roots = [word for name in _CALLED for word in ("-u", name)]
    run("arm-none-eabi-ld", "-r", "--gc-sections", *roots, "-o", linked, *objects)
    code, data, bss = map(int, run("arm-none-eabi-size", linked).splitlines()[1].split()[:3])
    return code + data, data + bss


def sizes(board: Board) -> "dict[str, int]":
    """Bytes: what there is, MicroPython's own share (board.json), ours, and what is left."""
    regions = board.regions
    # Before a filesystem stand the vectors alone.
    flash = regions.get("FLASH_TEXT", regions.get("FLASH", 0))
    native, static = native_bytes(board)
    own = board.facts["micropython"]
    heap = regions["RAM"] - own["ram"] - static
    return {
        "flash": flash,
        "micropython_flash": own["flash"],
        "native": native,
        "frozen": frozen_bytes(board),
        "ram": regions["RAM"],
        "micropython_ram": own["ram"],
        "heap": heap,
        "heap_beside_pool": heap - board.module["POOL"],
    }


def share(board: Board, elf: Path) -> "dict[str, int]":
    """Bytes that MicroPython took in a build, for board.json: of flash all but ours; of RAM what
    is neither ours nor heap."""
    code, data, _ = map(int, run("arm-none-eabi-size", elf).splitlines()[1].split()[:3])
    found = re.findall(r"^(\w+) . _heap_(start|end)$", run("arm-none-eabi-nm", elf), re.M)
    at = {name: int(address, 16) for address, name in found}
    native, static = native_bytes(board)
    return {
        "flash": code + data - native - frozen_bytes(board),
        "ram": board.regions["RAM"] - static - (at["end"] - at["start"]),
    }


def check_sizes(board: Board) -> "list[str]":
    """Everything fits the part's flash, and the heap has room for the pool and the node."""
    found = sizes(board)
    wrong = []
    needed = found["micropython_flash"] + found["native"] + found["frozen"]
    if needed > found["flash"]:
        wrong.append(f"flash: {needed} bytes do not fit {found['flash']}")
    if found["heap_beside_pool"] < NODE_HEAP:
        left = found["heap_beside_pool"]
        wrong.append(f"board.py: POOL leaves {left} bytes of heap, a node needs {NODE_HEAP}")
    return wrong


CHECKS = (check_config, check_modules, check_pins, check_frozen, check_native, check_sizes)


def check(board: Board) -> "list[str]":
    """All of them."""
    wrong = []
    for one in CHECKS:
        try:
            wrong += one(board)
        except (RuntimeError, OSError, KeyError, LookupError) as error:
            wrong.append(f"{one.__name__}: {error!r}")
    return wrong
