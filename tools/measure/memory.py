# SPDX-License-Identifier: MIT
"""`make memory`: where the memory of a node with four apps goes, into build/memory.json.

Flash and static RAM come from the linker's map; the heap from the running firmware, which keeps
the apps in a store and has them from a card; what a module takes from a firmware that imports
nothing by itself. The budgets are those of spec/provisioning.md section 14: P-92b is written for
an executive in C on a part with 16 KiB of RAM, which this one, in Python, misses by far; its VM
keeps its share.
"""

import argparse
import ast
from pathlib import Path

from mpremote.transport_serial import SerialTransport

from hsxctl import fat_image
from hsxctl.assembler import assemble, image
from hsxctl.simulate.qemu import QemuNode
from measure import linker_map, record, size

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
PACKAGE = PROJECT / "firmware"
RESULT = Path("build/memory.json")
FOLDER = Path("build/measure")
APPS = ("sensor", "display", "counter", "starts")
PATIENCE = 60  # seconds for the node

TARGETS: record.Targets = {
    "flash.all": ("<=", 512 * 1024),  # P-92a
    "flash.vm": ("<=", 10 * 1024),  # P-92b
    "flash.executive_and_vm": ("<=", 28 * 1024),
    "ram.executive_and_vm": ("<=", 5632),
    "task.ram_per_app": ("<=", 64 + 1536 + 256),  # P-92d
    "staging.buffer": ("<=", 1024),  # P-92g
    "fram.values": ("<=", 2048),  # P-92h
    "fram.values_used": ("<=", 2048),
    "heap.free_percent": (">=", 20),  # P-93
    "pool.free_percent": (">=", 20),
}
# What a test holds the firmware to; the others it misses, and says so.
KEPT = (
    "flash.all",
    "flash.vm",
    "staging.buffer",
    "fram.values_used",
    "heap.free_percent",
    "pool.free_percent",
)


class _Node:
    """A node in the emulator; `run` gives the lines that code prints on it."""

    def __init__(self, firmware: Path, sd: Path | None = None, fram: Path | None = None) -> None:
        self._node = QemuNode(firmware, sd=sd, fram=fram)
        self._port = SerialTransport(self._node.repl, timeout=PATIENCE)

    def __enter__(self) -> "_Node":
        return self

    def __exit__(self, *_: object) -> None:
        self._port.serial.close()
        self._node.close()

    def boot(self, over: str = "state=over") -> None:
        """Waits for the end of the boot; "" for a node that has none."""
        if over:
            self._node.wait_console(over, PATIENCE)
        self._port.enter_raw_repl(soft_reset=False)
        self.run((HERE / "memory_on_node.py").read_text())

    def run(self, code: str) -> list[str]:
        return self._port.exec(code).decode().splitlines()

    def figures(self, code: str) -> record.Figures:
        """Lines `name number` as figures."""
        pairs = [line.rsplit(" ", 1) for line in self.run(code)]
        return {name: int(value) for name, value in pairs}


def card(folder: Path) -> Path:
    """A card with the apps; its manifest boots none."""
    files = [(f"{name}.hxe", image(assemble(_source(name)), name)) for name in APPS]
    path = folder / "memory.img"
    fat_image.write(path, fat_image.SMALLEST, [*files, ("hsx.toml", b"schema = 1\n")])
    return path


def _source(name: str) -> Path:
    return PROJECT / "tools/demo/apps" / f"{name}.mvasm"


def with_apps(firmware: Path, folder: Path) -> tuple[record.Figures, list[str]]:
    """The figures of a node that has booted the apps from its store, and the modules that are
    loaded by then."""
    sd, fram = card(folder), folder / "memory.fram"
    fram.unlink(missing_ok=True)
    paths = [f"/sd/{name}.hxe" for name in APPS]
    with _Node(firmware, sd=sd, fram=fram) as node:
        node.boot()
        node.run(f"import hsx; hsx.format('erase everything'); hsx.persist(*{paths}, only=True)")
        node.run("hsx.activate(); hsx.confirm()")
    with _Node(firmware, sd=sd, fram=fram) as node:
        node.boot()
        node.run("import time; time.sleep(1)")  # the apps have said what they want
        figures = node.figures("whole()")
        figures["heap.all"] = figures["heap.used"] + figures["heap.free"]
        figures["heap.free_percent"] = 100 * figures["heap.free"] // figures["heap.all"]
        loaded = node.run("loaded()")
    with _Node(firmware, sd=sd) as node:
        node.boot()
        figures.update(node.figures(f"tasks({paths})"))
    apps = [f"task.{name}" for name in APPS]
    ram = [figures[f"{app}.{part}"] for app in apps for part in ("stack", "data", "objects")]
    figures["task.ram_per_app"] = sum(ram) / len(apps)
    figures["pool.all"] = figures["pool.free"] + sum(figures[f"{app}.arena"] for app in apps)
    figures["pool.free_percent"] = 100 * figures["pool.free"] // figures["pool.all"]
    return figures, loaded


def modules(firmware: Path, loaded: list[str]) -> record.Figures:
    """What each module takes of the heap, in the order in which they can be imported one by one,
    and as `built` what the node takes beside them and its pool."""
    with _Node(firmware) as node:
        node.boot(over="")
        figures = node.figures(f"modules({import_order(loaded)})")
        figures.update(node.figures("node()"))
    return figures


def import_order(names: list[str]) -> list[str]:
    """Modules of the package, each behind its folder and what it imports."""
    order: list[str] = []

    def visit(name: str) -> None:
        if name in order or name not in names:
            return
        folder = name.rpartition(".")[0]
        for needed in (folder, *_imports(name)):
            visit(needed)
        if name not in order:
            order.append(name)

    for name in ("hsx.boot.start", *sorted(names)):
        visit(name)
    return order


def _imports(name: str) -> list[str]:
    """What a module imports while it is imported itself."""
    path = PACKAGE.joinpath(*name.split("."))
    is_folder = path.is_dir()
    file = path / "__init__.py" if is_folder else path.with_suffix(".py")
    place = name.split(".") if is_folder else name.split(".")[:-1]
    found = []
    waiting: list[ast.AST] = [ast.parse(file.read_text())]
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, ast.ImportFrom) and node.level:
            base = place[: len(place) + 1 - node.level]
            base += node.module.split(".") if node.module else []
            found += [".".join(base), *(".".join([*base, alias.name]) for alias in node.names)]
        typing = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if not typing and not isinstance(node, ast.FunctionDef | ast.ClassDef):
            waiting += ast.iter_child_nodes(node)
    return found


def flash_and_ram(build: Path) -> record.Figures:
    """Bytes that the linker gave to the parts of the firmware. The heap is a variable of main.o;
    the stack is in no object."""
    sizes = size.objects(build)
    linked = linker_map.read(build / "firmware.map")
    flash = sum(sizes_.flash for sizes_ in linked.values())
    known = sizes["native.text"], sizes["native.binding_text"], sizes["native.crypto_text"]
    package = int(sizes["frozen.bytes"])
    heap = next(found.ram for name, found in linked.items() if name.endswith("/main.o"))
    return {
        "flash.all": flash,
        "flash.vm": known[0],
        "flash.vm_binding": known[1],
        "flash.signatures": known[2],
        "flash.package": package,
        "flash.micropython_and_board": flash - sum(map(int, known)) - package,
        "flash.executive_and_vm": int(sum(known)) + package,
        "ram.heap": heap,
        "ram.micropython_and_board": sum(found.ram for found in linked.values()) - heap,
    }


def main() -> None:
    """Measures, writes and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, default=Path("build/qemu_m4"))
    parser.add_argument("--bare", type=Path, default=Path("build/qemu_m4-bare"))
    parser.add_argument("--diff", action="store_true")
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    figures = flash_and_ram(options.build)
    on_node, loaded = with_apps(options.build / "firmware.elf", FOLDER)
    figures.update(on_node)
    by_module = modules(options.bare / "firmware.elf", loaded)
    figures["heap.node"] = by_module.pop("built")
    figures["heap.modules"] = sum(by_module.values())
    figures["ram.executive_and_vm"] = figures["heap.modules"] + figures["heap.node"]
    rows = sorted(by_module.items(), key=lambda row: -row[1])
    named = {f"module.{name.replace('.', '/')}": taken for name, taken in rows}
    before = record.write(RESULT, {**figures, **named})
    if options.diff:
        print(record.changes(before, {**figures, **named}))
    else:
        print(record.table(named, {}), record.table(figures, TARGETS), sep="\n\n")
    print(f"\n{RESULT}")


if __name__ == "__main__":
    main()
