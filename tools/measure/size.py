# SPDX-License-Identifier: MIT
"""`make size`: how large core and links are in the firmware that ships, into build/size.json.

Bytes come from the linker's map, stack from the compiler's call graphs, and what a load takes of
the heap from the running firmware. `--diff` shows the change against the run before.
"""

import argparse
import sys
from pathlib import Path

from measure import linker_map, node, record
from measure.call_graph import CallGraph

RESULT = Path("build/size.json")
FOLDER = Path("build/measure")
CORE = ("cobs", "crc32", "float16", "frame_ring", "loader", "slcan", "task", "vm")
WIRE = ("cobs", "frame_ring", "slcan")  # of them, those that only links need
CRYPTO = ("native/ed25519", "native/sha512", "monocypher")
TARGETS: record.Targets = {
    "native.text": ("<=", 12_288),
    "native.static_ram": ("<=", 256),
    "native.stream_overhead": ("<=", 1024),
    "link.code": ("<=", 30_720),
}


def objects(build: Path) -> record.Figures:
    """Bytes of flash and RAM that the linker gave the core, its binding and the package; and what
    of both is the links': all engines and runners, of which a board needs some."""
    linked = linker_map.read(build / "firmware.map")

    def find(place: str) -> str:
        return next(name for name in linked if name.endswith(f"/{place}.o"))

    core = [find(f"native/{name}") for name in CORE]
    library = linker_map.pulled(core, linked, "libgcc.a(")
    binding = find("native/bindings/micropython")
    crypto = [find(name) for name in CRYPTO]
    needed = linker_map.pulled(crypto, linked, "libgcc.a(")
    figures: record.Figures = {
        "native.text": sum(linked[name].flash for name in [*core, *library]),
        "native.binding_text": linked[binding].flash,
        "native.crypto_text": sum(linked[name].flash for name in {*crypto, *needed} - {*library}),
        "native.static_ram": sum(linked[name].ram for name in [*core, *library, binding, *crypto]),
        "frozen.bytes": linked[find("frozen_content")].flash,
    }
    for name, path in zip(CORE, core, strict=True):
        figures[f"text.{name}"] = linked[path].flash
    for name in ("link", "transport"):
        figures[f"link.frozen_{name}"] = linker_map.frozen(build / "firmware.map", f"hsx.{name}")
    figures["link.text"] = sum(int(figures[f"text.{name}"]) for name in WIRE)
    parts = ("link.frozen_link", "link.frozen_transport", "link.text")
    figures["link.code"] = sum(int(figures[name]) for name in parts)
    figures["text.libgcc"] = sum(linked[name].flash for name in library)
    return figures


def modules(folder: Path) -> record.Figures:
    """Bytes of the native modules for stock MicroPython, where `make natmod` has made them."""
    paths = sorted(folder.glob("*/hsx*.mpy"))
    return {f"natmod.{path.parent.name}.{path.stem}": path.stat().st_size for path in paths}


def stack(build: Path) -> tuple[record.Figures, list[list[str]]]:
    """The deepest stack of the core, and of its check of signatures, and a row for each of its
    functions: bytes of its own frame, bytes with what it calls, and the calls that need them."""
    core = [build / "native" / f"{name}.ci" for name in CORE]
    crypto = [build / f"{name}.ci" for name in CRYPTO]
    files = [*core, *crypto, build / "shared/libc/string0.ci"]
    missing = [str(path) for path in files if not path.is_file()]
    if missing:
        sys.exit(f"no {missing[0]}: remove {build} and run 'make firmware'")
    graph = CallGraph(files)
    own = CallGraph([*core, *(path for path in crypto if path.parent.name == "native")])
    verifying = CallGraph(crypto).frames
    rows = [["function", "frame", "in all", "deepest call"]]
    figures: record.Figures = {"native.max_stack": 0, "native.crypto_stack": 0}
    for function in sorted(own.frames):
        chain = graph.deepest(function)
        depth = graph.depth(chain)
        if function.startswith("hsx_"):
            key = "native.crypto_stack" if function in verifying else "native.max_stack"
            figures[key] = max(figures[key], depth)
        calls = " ".join(name.rpartition(":")[2] for name in chain[1:])
        row = [function.rpartition(":")[2], str(graph.frames[function]), str(depth), calls]
        rows.append(row)
    unknown = graph.unknown(own.frames)
    if unknown:
        rows.append(["(no frame known)", "", "0", " ".join(unknown)])
    return figures, rows


def main() -> None:
    """Measures, writes and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, default=Path("build/qemu_m4"))
    parser.add_argument("--diff", action="store_true")
    options = parser.parse_args()
    figures = objects(options.build)
    frames, rows = stack(options.build)
    figures.update(frames)
    figures.update(modules(options.build.parent / "natmod"))
    FOLDER.mkdir(parents=True, exist_ok=True)
    with node.MeasuringNode(options.build / "firmware.elf", FOLDER) as target:
        figures["native.stream_overhead"] = node.stream_overhead(target)
    before = record.write(RESULT, figures)
    if options.diff:
        print(record.changes(before, figures))
    else:
        print(record.columns(rows), record.table(figures, TARGETS), sep="\n\n")
    print(f"\n{RESULT}")


if __name__ == "__main__":
    main()
