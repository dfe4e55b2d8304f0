# SPDX-License-Identifier: MIT
"""A node to measure on: the firmware in the emulator, where time is counted instructions."""

import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from mpremote.transport_serial import SerialTransport

from hsx.image.build import build
from hsx.image.signature import CONTEXT
from hsxctl import fat_image
from hsxctl.assembler import assemble
from hsxctl.simulate.qemu import QemuNode
from measure.record import Figures

HERE = Path(__file__).parent
TESTS = HERE.parents[1] / "host_tests"
GOLDEN = TESTS / "golden/programs"

SHIFT = 6  # an instruction is 2**SHIFT ns of the emulator's time where instructions are counted
TICK_NS = 40  # of the board's counter
STREAMED = 32768  # bytes of the image that is streamed
MANY_STEPS = 1000  # golden programs above it are the mix
PATIENCE = 300  # seconds for one batch on the node
ROUND = 6  # instructions of one round of bench_loop

_NOP = bytes.fromhex("04110000")  # MOV R1, R1


class MeasuringNode:
    """A booted node with the golden programs, the loop with locals and a large image on its card.
    A context manager; `folder` takes the card, and the FRAM of a node that is to have one. An
    instruction is 2**`shift` ns."""

    def __init__(
        self, firmware: Path, folder: Path, has_fram: bool = False, shift: int = SHIFT
    ) -> None:
        card = folder / "measure.img"
        files = [(path.name, path.read_bytes()) for path in sorted(GOLDEN.glob("*.hxe"))]
        program = assemble(HERE / "locals_loop.mvasm")
        files.append(("locals.hxe", build(program.code, entry=program.entry, name="locals")))
        large = build(_NOP * ((STREAMED - 96) // len(_NOP)), name="large")
        assert len(large) == STREAMED
        fat_image.write(card, fat_image.SMALLEST, [*files, ("large.hxe", large)])
        fram = folder / "measure.fram" if has_fram else None
        if fram:
            fram.unlink(missing_ok=True)
        self._node = QemuNode(firmware, sd=card, fram=fram, icount=shift)
        try:
            self._node.wait_console("state=over", PATIENCE)
            self._port = SerialTransport(self._node.repl, timeout=PATIENCE)
            self._port.enter_raw_repl(soft_reset=False)
            for source in (TESTS / "judge/on_node.py", HERE / "on_node.py"):
                self.run(source.read_text())
        except BaseException:
            self._node.close()
            raise

    def __enter__(self) -> "MeasuringNode":
        return self

    def __exit__(self, *_: object) -> None:
        self._port.serial.close()
        self._node.close()

    @property
    def uart2(self) -> str:
        """The pty of the board's second link."""
        return self._node.uart2

    def begin(self, code: str, until: str = "") -> None:
        """Starts `code`, which `end` waits for; returns when it has printed the line `until`."""
        self._port.exec_raw_no_follow(code)
        if until:
            self._port.read_until(1, until.encode() + b"\r\n")

    def end(self) -> list[str]:
        """The lines that the code which was begun has printed since."""
        text, error = self._port.follow(timeout=PATIENCE)
        if error:
            raise RuntimeError(error.decode())
        return text.decode().splitlines()

    def run(self, code: str) -> list[str]:
        """The lines that `code` prints on the node."""
        text, error = self._port.exec_raw(code, timeout=PATIENCE)
        if error:
            raise RuntimeError(error.decode())
        return text.decode().splitlines()


def instructions(ticks: float) -> float:
    """Instructions of the M4 in counter ticks."""
    return ticks * TICK_NS / 2**SHIFT


def mix() -> dict[str, dict]:
    """The golden programs of many steps, by name."""
    cases = {path.stem: json.loads(path.read_text()) for path in sorted(GOLDEN.glob("*.json"))}
    return {name: case for name, case in cases.items() if case["steps"] > MANY_STEPS}


def count(node: MeasuringNode) -> tuple[Figures, Figures]:
    """The figures of the VM on the M4, and the instructions per operation of each program.

    A call has a fixed cost, so a loop is counted as the slope between two budgets. Of whole
    programs only the cost of a call that runs nothing is taken off, once a call: what enters and
    leaves the interpreter is theirs."""
    idle, slice_, few, many = _ticks(node, "bench_loop", [0, 1000, 1000 * ROUND, 10_000 * ROUND])
    loop = instructions(many - few) / (9000 * ROUND)
    _, few, many = _ticks(node, "locals", [0, 6000, 60_000])
    in_locals = instructions(many - few) / 54_000
    per_program: Figures = {}
    caps = {name: case["step_cap"] for name, case in mix().items()}
    for name, ran in map(json.loads, node.run(f"programs('/sd', {caps!r})")):
        case = mix()[name]
        wrong = [key for key in ("stop", "steps", "regs", "uart") if ran[key] != case[key]]
        if wrong:
            raise RuntimeError(f"{name}: {', '.join(wrong)} differ from the golden result")
        cost = instructions(ran["ticks"] - ran["calls"] * idle)
        per_program[name] = cost / ran["steps"]
    wide, small = _python(node)
    figures: Figures = {
        "vm.m4_insns_per_op": loop,
        "vm.m4_insns_per_op_mix": sum(per_program.values()) / len(per_program),
        "vm.m4_insns_per_op_locals": in_locals,
        "vm.m4_insns_per_op_slice": instructions(slice_) / 1000,
        "vm.m4_insns_per_call": instructions(idle),
        "vm.m4_vs_micropython": wide / (ROUND * loop),
        "vm.m4_vs_micropython_small": small / (ROUND * loop),
    }
    return {name: round(value, 3) for name, value in figures.items()}, per_program


def _ticks(node: MeasuringNode, name: str, budgets: list[int]) -> list[int]:
    """Ticks of a call with each budget; the loop is well under way when it is counted."""
    return json.loads(node.run(f"budgets('/sd/{name}.hxe', 600, {budgets})")[0])


def _python(node: MeasuringNode) -> list[float]:
    """Instructions per round of the two Python loops."""
    few, many = 20, 120
    costs = []
    for _, (short, long) in map(json.loads, node.run(f"python({few}, {many})")):
        costs.append(instructions(long - short) / (many - few))
    return costs


def crypto(node: MeasuringNode) -> Figures:
    """Instructions of checking one signature over an image's message."""
    private = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    message = CONTEXT + bytes(range(32))
    key, signature = private.public_key().public_bytes_raw(), private.sign(message)
    ticks = int(node.run(f"verify({key!r}, {message!r}, {signature!r})")[0])
    return {"crypto.m4_insns_verify": round(instructions(ticks))}


def stream_overhead(node: MeasuringNode) -> int:
    """Heap bytes of loading an image of STREAMED bytes in chunks of 64."""
    return int(node.run("stream('/sd/large.hxe')")[0])
