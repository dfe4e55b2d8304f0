# SPDX-License-Identifier: MIT
"""The same on the emulated Cortex-M4 with two I2C FRAM parts: power cuts at moments, not bytes.

A case has an id, which `run.py --case` runs alone:

    target/confirm/count/123456     the power fails 123,456 ticks of 40 ns into the step; the
                                    machine counts instructions, so it is the same one each time
    target/confirm/kill/5300        the emulator is killed 5,300 us into the step
    target/confirm/ctrl_c/123456    Ctrl-C at that tick; then a soft reset

The host makes the FRAM's file and takes the same step on a copy, so that it knows both states that
may be seen. After the cut the machine starts again on the same file: it must boot what the host
expects, and its boot must leave the same bytes as the host's on a copy; then an interrupted step
is started again, and succeeds.

The emulated part writes its file at the stop of each I2C transfer, which this board limits to 32
bytes: superblocks and directories tear here between transfers. Within one it is `run.py`'s to cut.
"""

import contextlib
import io
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from builders import SLEEP, SPIN, ldi32, words
from hsx.image.build import build
from hsx.store.layout import COPY, layout_of
from hsxctl import fat_image
from hsxctl.simulate.qemu import FRAM_DEVICES, FRAM_SIZE
from powercut import world
from powercut.invariant import Broken, Expected, View, check_reset
from powercut.line import Machine
from powercut.medium import Medium
from powercut.world import SETS, World

KINDS = ("count", "kill", "ctrl_c")
FIRMWARE = Path(__file__).parents[2] / "build/qemu_m4/firmware.elf"

_LAYOUT = layout_of(FRAM_SIZE)
_PATIENCE = 60  # seconds


def _app(name: str, size: int) -> bytes:
    """An image that sleeps, with `size` bytes of data that differ from app to app."""
    data = random.Random(name).randbytes(size)
    return build(words(*ldi32(0, 600_000), SLEEP, SPIN), rodata=data, name=name, flags=2)


# "first" and "second" share an app; all of them run.
APPS = {
    "first": (1, [_app("pump", 300), _app("shared", 200)]),
    "second": (2, [_app("valve", 400), _app("shared", 200), _app("lamp", 40)]),
    "third": (3, [_app("motor", 350)]),
}
SETS.update(APPS)


class Target:
    """`arrange` and `step`: Python that host and node both run, on `world`. `opened`: the store is
    open before the step begins. `again`: a step that was not done can be taken again."""

    def __init__(
        self, name: str, arrange: str, step: str, opened: bool = True, again: bool = True
    ) -> None:
        self.name = name
        self.arrange = arrange
        self.step = step
        self.opened = opened
        self.again = again


_ONE = """
world.store.format("erase everything")
world.confirmed("first", 1)
world.store.values.save(1, 0x3C00)
world.store.values.save(2, 0x4000)
world.store.counters.enrol(KEY, 5)
"""
_BOTH = _ONE + 'world.confirmed("second")\n'
_TRIAL = _ONE + 'world.push("second")\nworld.reset()\n'
_USED_UP = _TRIAL + "world.reset()\nworld.reset()\nworld.store.values.save(1, 0x5555)\n"

TARGETS = [
    Target("stage", _ONE, 'world.stage("second")'),
    Target("update", _ONE, 'world.push("second")'),
    Target("resume", _ONE + 'world.stage("second", 0.6)', 'world.push("second")'),
    Target("declare", _BOTH, 'world.stage("third")'),
    Target("confirm", _TRIAL, "world.store.commit.confirm(2)"),
    Target("value_save", _ONE, "world.store.values.save(1, 0x1234)"),
    Target("trial_value", _TRIAL, "world.store.values.save(1, 0x5555)"),
    Target("revert", _TRIAL, "world.store.commit.revert()"),
    Target("rollback", _BOTH, "finish(world.store.commit.rollback())"),
    Target("attempt", _TRIAL, "World(part).crash()", opened=False, again=False),
    Target("revert_by_attempts", _USED_UP, "World(part).crash()", opened=False, again=False),
    Target(
        "boot_repair",
        _BOTH + f"part.write({COPY + 20}, b'?')",
        "World(part).crash()",
        opened=False,
        again=False,
    ),
]

# What a node knows after each start, before the store is touched. The rest is on its card.
_PREPARE = f"""
import gc, hsx, machine, time, board, sys
hsx.runtime().stop()
sys.path.append("/sd")
from world import *
from hsx.store.fram_i2c import FramI2c
part = FramI2c(board.i2c(), {tuple(address for address, _ in FRAM_DEVICES)}, {FRAM_DEVICES[0][1]})
"""
_CARD = Path(world.__file__).read_text() + f"\nSETS.update({APPS!r})\n"

# What boots, as the store of the node says after it has done what a hard reset does.
_BOOT = """
store = Store(part, attempts=ATTEMPTS)
bank = boot(store, {hard}) if store.open() else 0
names = []
if bank:
    reader = store.commit.reader(bank)
    names = [reader.image(index).name for index in range(reader.count)]
print(bank, names)
"""


class Reference:
    """What the host knows of a step: the cells before it, and the views before and after."""

    def __init__(self, target: Target) -> None:
        self.target = target
        cells = bytearray(b"\xff" * FRAM_SIZE)
        self._do(cells, target.arrange)
        self.start = bytes(cells)
        self.before = self.view(cells)
        self._do(cells, target.step)
        self.after = self.view(cells)
        self.ticks = 0  # that the step takes on the node, once it was measured
        self.seconds = 0.0  # the same, on this host's clock

    @staticmethod
    def _do(cells: bytearray, code: str) -> None:
        names = {**vars(world), "part": Medium(cells)}
        exec(f"world = World(part)\n{code}" if "world." in code else code, names)

    @staticmethod
    def view(cells: bytes) -> View:
        """What a store of these cells shows."""
        part = Medium(bytearray(cells))
        return View(World(part).store, part)

    def moves(self) -> bool:
        """Whether before and after can be told apart."""
        return self.before.facts != self.after.facts

    def expected(self) -> Expected:
        """What may be seen after a cut."""
        return Expected({self.before.facts, self.after.facts}, self.before)


class Bench:
    """Runs cases, one at a time, on files in a folder of its own: a context manager."""

    def __init__(self, firmware: Path = FIRMWARE) -> None:
        self._firmware = firmware
        self._folder = tempfile.TemporaryDirectory()
        self._fram = Path(self._folder.name) / "fram.bin"
        self._card = Path(self._folder.name) / "card.img"
        fat_image.write(self._card, fat_image.SMALLEST, [("world.py", _CARD.encode())])
        self._references: dict[str, Reference] = {}

    def __enter__(self) -> "Bench":
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def reference(self, name: str) -> Reference:
        """That of the step of this name; KeyError for no such step."""
        if name not in self._references:
            target = {target.name: target for target in TARGETS}[name]
            self._references[name] = Reference(target)
        return self._references[name]

    def measured(self, name: str) -> Reference:
        """The same, after an uncut run on the node, which must end as it does on the host."""
        reference = self.reference(name)
        if not reference.ticks:
            with self._machine(reference) as machine:
                start = time.perf_counter()
                machine.begin(
                    f"t = time.ticks_cpu()\n{reference.target.step}\n"
                    "print(time.ticks_diff(time.ticks_cpu(), t))"
                )
                reference.ticks = int(_whole(machine.end()))
                reference.seconds = time.perf_counter() - start
            view = Reference.view(self._fram.read_bytes())
            if view.facts != reference.after.facts:
                raise Broken(f"uncut on the node, {name} ends with {view.facts}")
        return reference

    def cases(self, name: str, kind: str, count: int, seed: int) -> Iterator[str]:
        """Ids of `count` cases at random moments of a step. Broken as `measured`."""
        reference = self.measured(name)
        chance = random.Random(f"{seed}/{name}/{kind}")
        last = int(reference.seconds * 1e6) if kind == "kill" else reference.ticks
        for _ in range(count):
            yield f"target/{name}/{kind}/{chance.randrange(1, last)}"

    def run_case(self, case: str) -> str:
        """Runs the case of this id: "before" or "after", what the cut left. Broken if the
        invariant does not hold."""
        _, name, kind, moment = case.split("/")
        reference = self.reference(name)
        if kind == "ctrl_c":
            with self._machine(reference) as machine:
                _press_ctrl_c(machine, reference.target.step, int(moment))
                return self._check(machine, reference, hard=False)
        self.cut(case)
        with Machine(self._firmware, self._fram, self._card) as machine:
            machine.enter()
            machine.run(_PREPARE)
            return self._check(machine, reference, hard=True)

    def cut(self, case: str) -> bytes:
        """The cells that a power cut leaves."""
        _, name, kind, moment = case.split("/")
        reference = self.reference(name)
        with self._machine(reference) as machine:
            if kind == "count":
                machine.begin(f"machine.power_off_after({moment})\n{reference.target.step}")
                if not machine.node.wait_off(_PATIENCE):
                    raise Broken("the power did not fail")
            else:
                machine.begin(reference.target.step)
                time.sleep(int(moment) / 1e6)
                machine.kill()
        return self._fram.read_bytes()

    def _machine(self, reference: Reference) -> Machine:
        """A machine on the cells of before the step, ready to take it."""
        self._fram.write_bytes(reference.start)
        machine = Machine(self._firmware, self._fram, self._card)
        try:
            machine.enter()
            machine.run(_PREPARE)
            if reference.target.opened:
                machine.run("world = World(part)")
            machine.run("gc.collect()")
        except BaseException:
            machine.kill()
            raise
        return machine

    def _check(self, machine: Machine, reference: Reference, hard: bool) -> str:
        """What the file and a machine that has just been reset must show."""
        cells = self._fram.read_bytes()
        outcome = check_reset(bytearray(cells), _LAYOUT, reference.expected())
        boots, booted = _boot_on_host(cells, hard)
        said = machine.run(_BOOT.format(hard=hard))
        if said != boots:
            raise Broken(f"the node boots {said}, the host {boots}")
        if self._fram.read_bytes() != booted:
            raise Broken("the node's boot left other bytes than the host's")
        done = outcome.view.facts == reference.after.facts
        if reference.target.again and not (done and reference.moves()):
            machine.run(f"world = World(part)\n{reference.target.step}")
            view = Reference.view(self._fram.read_bytes())
            if view.facts != reference.after.facts:
                raise Broken(f"started again, it ends with {view.facts}")
        return "after" if done and reference.moves() else "before"


def _whole(said: tuple[str, str]) -> str:
    """What code printed that raised nothing."""
    text, error = said
    if error:
        raise Broken(f"on the node: {error}")
    return text


def _press_ctrl_c(machine: Machine, step: str, ticks: int) -> None:
    lines = "\n".join("    " + line for line in step.splitlines())
    machine.run(
        f"try:\n    machine.ctrl_c_after({ticks})\n{lines}\nexcept KeyboardInterrupt:\n    pass\n"
        "finally:\n    machine.ctrl_c_after(0)"
    )


def _boot_on_host(cells: bytes, hard: bool) -> tuple[str, bytes]:
    """What `_BOOT` prints on the host, and the cells that it leaves."""
    part = Medium(bytearray(cells))
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(_BOOT.format(hard=hard), {**vars(world), "part": part})
    return said.getvalue().strip(), bytes(part.memory)
