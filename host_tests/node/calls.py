# SPDX-License-Identifier: MIT
"""Programs that make service calls and keep what came of each."""

from pathlib import Path

from bench.node import NodeBench
from hsxctl import assembler

LOG = 0x4000  # where the results are: R0 to R4 of each call
_KEPT = 5


def calling(
    folder: Path, *calls: tuple, data: str = "", code: str = "", end: str = "exit", name="app"
) -> bytes:
    """An image that makes the calls and then exits, or waits for ever (`end`="stay").

    A call is (module, function, R1, R2, ...) with numbers or labels, or ("sleep", ms). `code`:
    lines behind the program; `data`: lines behind the log."""
    lines = [".entry start", ".text", "start:", "    LDI32 R10, log", "    LDI R11, 4"]
    count = 0
    for module, *arguments in calls:
        if module == "sleep":
            lines += [f"    LDI R0, {arguments[0]}", "    SVC MOD=0x6, FN=0x0"]
            continue
        count += 1
        function, *registers = arguments
        lines += [f"    LDI32 R{n}, {value}" for n, value in enumerate(registers, 1)]
        lines += [f"    SVC MOD={module}, FN={function}"]
        for number in range(_KEPT):
            lines += [f"    ST [R10+0], R{number}", "    ADD R10, R10, R11"]
    lines += ["    SVC MOD=0x1, FN=0x0"] if end == "exit" else ["stay:", "    JMP stay"]
    lines += [code, ".data", "log:", f"    .zero {4 * _KEPT * count}", data]
    path = folder / f"{name}.mvasm"
    path.write_text("\n".join(lines) + "\n")
    return assembler.image(assembler.assemble(path), name)


def results(bench: NodeBench, pid: int, count: int, kept: int = 2) -> list[tuple[int, ...]]:
    """R0 and what follows, `kept` registers, of the first `count` calls."""
    log = bytearray(4 * _KEPT * count)
    assert bench.vm.read(pid, LOG, log) == len(log)
    numbers = [int.from_bytes(log[at : at + 4], "little") for at in range(0, len(log), 4)]
    return [tuple(numbers[at : at + kept]) for at in range(0, len(numbers), _KEPT)]


def behind(bench: NodeBench, pid: int, calls: int, size: int) -> bytes:
    """The first bytes of `data` behind the log of so many calls."""
    view = bytearray(size)
    assert bench.vm.read(pid, LOG + 4 * _KEPT * calls, view) == size
    return bytes(view)
