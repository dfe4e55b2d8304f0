# SPDX-License-Identifier: MIT
"""The rules of the house that a machine can check: who imports whom, and what a file looks like.

Layers, from the ground up: image and native, node and store, link, transport, service, boot. An
import goes down only. What stands under `if TYPE_CHECKING:` is for mypy and may also name
`contracts` and `typing`; it obeys the same order.
"""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "firmware" / "hsx"

# Layer -> what it may import besides itself. Whatever is not named here is a file of its own
# directly in the package.
_GROUND = {"errors", "ticks"}
LAYERS = {
    "errors": set(),
    "ticks": set(),
    "native": set(),
    "image": _GROUND,
    "node": _GROUND | {"image", "native"},
    "store": _GROUND | {"image"},
    "link": _GROUND | {"native"},
    "transport": _GROUND | {"image", "native", "link"},
    "service": _GROUND | {"image", "native", "node", "store", "link"},
    "boot": _GROUND
    | {"image", "native", "node", "store", "link", "transport", "service", "console"},
    "console": _GROUND | {"image", "native", "node"},
    "aio": {"boot"},
    "__init__": {"*"},
}
# Transports know nothing of each other: each joins one driver and one engine.
_ALONE = {"transport"}
# The host's own tools use what makes and reads bytes, and never what runs a node's life.
HOST_MAY_USE = _GROUND | {"image", "native", "node", "store", "link"}

# Modules of MicroPython that the package may use, by the layers that may.
ANYWHERE = {"micropython", "struct", "binascii", "hashlib", "array", "collections"}
SPECIAL = {
    "hsxvm": {"native"},
    "hsxed25519": {"native"},
    "hsxflash": {"native"},
    "board": {"__init__"},
    "vfs": {"transport"},
    "os": {"transport", "boot", "store", "__init__"},
    "sys": {"boot", "console", "__init__"},
    "time": {"boot", "aio", "__init__"},
    "gc": {"boot", "service", "__init__"},
    "asyncio": {"aio"},
    "json": {"node"},
    "machine": {"boot"},
}
# Not frozen: these write images on a host, or are its end of a link.
HOST_ONLY = {
    "image/build.py",
    "link/can_client.py",
    "link/can_framing.py",
    "link/can_master.py",
    "link/host_messages.py",
    "link/uart_master.py",
}
# The one way up: what the frozen boot code calls hands the Runtime to the names of the REPL.
WAYS_UP = {("boot/start.py", "hsx")}


class Import(NamedTuple):
    """One imported module: as a path in the package, or the name of a foreign one."""

    line: int
    path: str  # "image/header" in the package, "struct" elsewhere
    inside: bool  # of the package
    typing: bool  # under `if TYPE_CHECKING:`
    lazy: bool  # inside a function


def tracked() -> list[Path]:
    """All files of the project that git knows or would add."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.splitlines() if (ROOT / name).is_file()]


def text_of(path: Path) -> str:
    """A file's text; empty for one that has none."""
    try:
        return path.read_text()
    except UnicodeDecodeError:
        return ""


def modules() -> list[Path]:
    """The package's modules, as paths in it."""
    return sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))


def layer(path: str) -> str:
    """The layer that a path in the package belongs to."""
    return path.split("/")[0].removesuffix(".py")


def is_module(path: str) -> bool:
    """Whether a dotted path names a file of the package, not a name in one."""
    return (PACKAGE / path).is_dir() or any(
        (PACKAGE / (path + ending)).exists() for ending in (".py", ".pyi")
    )


def imports(source: str, place: Path) -> Iterator[Import]:
    """All imports of a module at `place` in the package."""

    def walk(node: ast.AST, typing: bool, lazy: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            guarded = typing or (
                isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            )
            later = lazy or isinstance(child, ast.FunctionDef)
            if isinstance(child, ast.Import):
                for name in child.names:
                    yield Import(child.lineno, name.name, False, typing, lazy)
            elif isinstance(child, ast.ImportFrom) and child.level == 0:
                yield Import(child.lineno, child.module or "", False, typing, lazy)
            elif isinstance(child, ast.ImportFrom):
                up = place.parents[child.level - 1]
                base = up / (child.module or "").replace(".", "/")
                for name in child.names:
                    full = (base / name.name).as_posix()
                    path = full if is_module(full) else base.as_posix()
                    yield Import(child.lineno, path, True, typing, lazy)
            else:
                yield from walk(child, guarded, later)

    return walk(ast.parse(source), False, False)


def wrong_imports(source: str, place: Path) -> list[str]:
    """What a module at `place` imports and should not."""
    own = layer(place.as_posix())
    wrong = []
    for found in imports(source, place):
        said = f"{place}:{found.line} imports {found.path}"
        if not found.inside:
            root = found.path.split(".")[0]
            if found.typing and root in ("typing", "collections"):
                continue
            # The classes of the drivers that it is handed.
            if found.typing and own == "transport" and root in ("machine", "pyb"):
                continue
            if place.as_posix() in HOST_ONLY or (place.as_posix(), root) in WAYS_UP:
                continue
            if root not in ANYWHERE and own not in SPECIAL.get(root, ()):
                wrong.append(said)
            continue
        target = layer(found.path)
        if target == "contracts":
            if not found.typing:
                wrong.append(said)
        elif target == own:
            if own in _ALONE and found.path != place.with_suffix("").as_posix():
                wrong.append(said)
        elif target not in LAYERS[own] and "*" not in LAYERS[own]:
            wrong.append(said)
    return wrong


# ---- layers -----------------------------------------------------------------------------------


@pytest.mark.requirement("P-2", "P-4")
@pytest.mark.parametrize("place", modules(), ids=str)
def test_module_imports_only_what_stands_below_it(place: Path) -> None:
    assert wrong_imports((PACKAGE / place).read_text(), place) == []


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("image/header.py", "from ..node import tasks"),
        ("image/header.py", "from .. import native"),
        ("node/node.py", "from ..store.bank import BankReader"),
        ("store/bank.py", "def f():\n    from ..node import node"),
        ("transport/uart.py", "from . import can_pyb"),
        ("link/receiver.py", "import time"),
        ("node/node.py", "import machine"),
        ("node/node.py", "from ..contracts import Clock"),
        (
            "service/session.py",
            "TYPE_CHECKING = False\nif TYPE_CHECKING:\n    from ..boot import lock",
        ),
        ("image/header.py", "import dataclasses"),
    ],
)
def test_upward_sideways_and_foreign_imports_are_seen(place: str, source: str) -> None:
    assert wrong_imports(source, Path(place)) != []


def test_host_tools_use_no_part_of_a_running_node() -> None:
    wrong = []
    for path in (ROOT / "tools" / "hsxctl").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if isinstance(node, ast.ImportFrom) and node.module == "hsx":
                names = [f"hsx.{name.name}" for name in node.names]
            if isinstance(node, ast.Import):
                names = [name.name for name in node.names]
            used = {name.split(".")[1] for name in names if name.startswith("hsx.")}
            wrong += [f"{path.relative_to(ROOT)}: hsx.{name}" for name in used - HOST_MAY_USE]
    assert wrong == []


def test_no_module_is_imported_by_what_it_imports() -> None:
    edges = {}
    for place in modules():
        name = place.with_suffix("").as_posix().removesuffix("/__init__")
        found = imports((PACKAGE / place).read_text(), place)
        edges[name] = {i.path for i in found if i.inside and not i.typing and not i.lazy}
    done: set[str] = set()
    cycles = []

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            cycles.append(path[path.index(name) :])
        elif name not in done:
            for target in edges.get(name, ()):
                visit(target, (*path, name))
            done.add(name)

    for name in edges:
        visit(name, ())
    assert cycles == []


# ---- Python on the target ---------------------------------------------------------------------

# Where the node's life is at stake, and where the exception goes on to the caller unchanged.
_MAY_CATCH_ALL = ("runtime.py", "start.py", "lock.py", "work.py")


def habits(source: str, place: Path) -> list[str]:
    """What a module of the package does and should not."""
    name = place.name
    wrong = []
    for node in ast.walk(ast.parse(source)):
        said = None
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            said = "import *"
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "hsx":
            said = "absolute import of the package"
        if isinstance(node, ast.Global) and place.as_posix() != "__init__.py":
            said = "global"
        if isinstance(node, ast.ExceptHandler):
            caught = "" if node.type is None else ast.unparse(node.type)
            if caught == "" or (caught == "Exception" and name not in _MAY_CATCH_ALL):
                said = f"except {caught}"
        if isinstance(node, ast.Name) and node.id == "print" and name != "console.py":
            said = "print"
        if isinstance(node, ast.Name) and node.id == "__slots__":
            said = "__slots__"
        if said:
            wrong.append(f"{place}:{getattr(node, 'lineno', 0)} {said}")
    return wrong


@pytest.mark.parametrize("place", modules(), ids=str)
def test_module_keeps_the_habits_of_the_target(place: Path) -> None:
    assert habits((PACKAGE / place).read_text(), place) == []


@pytest.mark.parametrize(
    "source",
    [
        "from .errors import *",
        "from hsx.errors import EPERM",
        "def f():\n    global x\n    x = 1",
        "try:\n    f()\nexcept:\n    pass",
        "try:\n    f()\nexcept Exception:\n    pass",
        "print(1)",
        "class A:\n    __slots__ = ()",
    ],
)
def test_bad_habit_is_seen(source: str) -> None:
    assert habits(source, Path("node/node.py")) != []


@pytest.mark.parametrize("place", [m for m in modules() if m.name == "__init__.py"], ids=str)
def test_folder_says_what_it_is_for(place: Path) -> None:
    assert ast.get_docstring(ast.parse((PACKAGE / place).read_text()))


# ---- C in the core ----------------------------------------------------------------------------

_C_HEADERS = {"stdint.h", "stddef.h", "stdbool.h", "string.h", "assert.h"}


@pytest.mark.requirement("P-3")
def test_core_includes_no_part_of_a_libc_that_does_io_or_allocates() -> None:
    wrong = []
    for path in (ROOT / "firmware" / "native").glob("*.[ch]"):
        for header in re.findall(r"#include <([^>]+)>", path.read_text()):
            if header not in _C_HEADERS:
                wrong.append(f"{path.name}: {header}")
    assert wrong == []


# ---- files ------------------------------------------------------------------------------------

_SOURCES = {
    ".py",
    ".pyi",
    ".c",
    ".h",
    ".sh",
    ".mk",
    ".cmake",
    ".ld",
    ".toml",
    ".ini",
    ".mvasm",
    ".s",
    ".S",
}
# Data that others read byte by byte.
_DATA = ("host_tests/golden/", "host_tests/fuzz/")


def is_source(path: Path) -> bool:
    """Whether people write this file and a licence line fits into it."""
    if path.relative_to(ROOT).as_posix().startswith(_DATA) and path.suffix != ".py":
        return False
    return path.suffix in _SOURCES or path.name == "Makefile"


def test_source_begins_with_its_licence() -> None:
    wrong = []
    for path in tracked():
        head = text_of(path).splitlines()[:2]
        if is_source(path) and not any("SPDX-License-Identifier: MIT" in line for line in head):
            wrong.append(str(path.relative_to(ROOT)))
    assert wrong == []


# Written apart, so that this file does not name them.
_PLACES = re.compile(
    r"(?<![\w.$~{}-])/(?:" + "|".join(["work", "home", "root", "tmp", "Users"]) + r")\b/"
)
_UNFINISHED = re.compile(r"\b(?:" + "|".join(["TO" + "DO", "FIX" + "ME", "X" * 3]) + r")\b")


def test_no_file_names_a_place_on_one_machine() -> None:
    wrong = []
    for path in tracked():
        for number, line in enumerate(text_of(path).splitlines(), 1):
            if _PLACES.search(line):
                wrong.append(f"{path.relative_to(ROOT)}:{number} {line.strip()[:80]}")
    assert wrong == []


def test_no_file_is_marked_unfinished() -> None:
    wrong = []
    for path in tracked():
        for number, line in enumerate(text_of(path).splitlines(), 1):
            if _UNFINISHED.search(line):
                wrong.append(f"{path.relative_to(ROOT)}:{number} {line.strip()[:80]}")
    assert wrong == []


def test_no_file_is_named_by_having_no_subject() -> None:
    nameless = re.compile(r"^(utils?|common|helpers?|misc|.*_2)$")
    assert [str(p.relative_to(ROOT)) for p in tracked() if nameless.match(p.stem)] == []


# ---- setup and documents ----------------------------------------------------------------------


def test_setup_names_no_host() -> None:
    files = [p for p in tracked() if p.is_relative_to(ROOT / "tools" / "setup")]
    assert [p.name for p in files if "://" in p.read_text()] == []


def test_every_python_package_is_pinned_by_hash() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["test"]
    lock = ROOT / "tools" / "setup" / "requirements.txt"
    locked = lock.read_text().replace("\\\n", " ").splitlines()
    pins = {line.split()[0]: line.count("--hash=sha256:") for line in locked if "==" in line}
    assert wanted and set(wanted) <= set(pins)
    assert all(pins.values())


def make_targets() -> set[str]:
    """What `make help` lists."""
    return set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.M))


def test_make_lists_all_that_it_can_do() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.M)
    assert phony and set(phony.group(1).split()) == make_targets()


def test_documents_name_only_make_targets_that_exist() -> None:
    wrong = []
    for path in tracked():
        if path.suffix == ".md":
            named = re.findall(r"(?:^|`)(?:\$ )?make ([a-z-]+)", path.read_text(), re.M)
            wrong += [f"{path.name}: make {name}" for name in named if name not in make_targets()]
    assert wrong == []
