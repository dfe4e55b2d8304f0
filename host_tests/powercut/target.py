# SPDX-License-Identifier: MIT
"""The same on the emulated Cortex-M4 with two I2C FRAM parts: power cuts at moments, not bytes.

A case has an id, which `run.py --case` runs alone:

    target/confirm/count/123456     the power fails 123,456 ticks of 40 ns into the step; the
                                    machine counts instructions, so it is the same one each time
    target/confirm/kill/5300        the emulator is killed 5,300 us into the step
    target/confirm/ctrl_c/123456    Ctrl-C at that tick; then a soft reset

The host makes the FRAM's file; a node boots from it and takes the step, as a person would at the
REPL, or is reset; the host takes the same step on a copy, so that it knows both states that may be
seen. After the cut the node starts again on the same file. Its boot must leave the same bytes as
the host's on a copy, run the images of the bank that the host expects, and `hsx.slots()` must say
what the host reads; then an interrupted step is started again, and succeeds.

The emulated part writes its file at the stop of each I2C transfer, which this board limits to 32
bytes: superblocks and directories tear here between transfers. Within one it is `cuts`'s to tear.
"""

import contextlib
import io
import random
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.images import SLEEP, SPIN, ldi32, words
from hsx.image.build import build, f16, info_section, value_section
from hsx.image.metadata import Info, Value
from hsx.store.layout import COPY, layout_of
from hsx.store.store import BANK_NAMES, Store
from hsxctl import fat_image
from hsxctl.simulate.qemu import FRAM_SIZE
from powercut import world
from powercut.invariant import Broken, Expected, View, check_reset
from powercut.line import Machine
from powercut.medium import Medium
from powercut.world import ATTEMPTS, NAMES, SETS, World, boot
from waiting import PATIENCE

KINDS = ("count", "kill", "ctrl_c")
FIRMWARE = Path(__file__).parents[2] / "build/qemu_m4/firmware.elf"

LAYOUT = layout_of(FRAM_SIZE)
_TICKS_PER_SECOND = 25_000_000
_BOOT_DONE = re.compile(r"\[ *([0-9.]+)\] .*boot .*state=over")


def _app(name: str, size: int, epoch: int = 0, key: int = 0) -> bytes:
    """An image that sleeps, with `size` bytes of data that differ from app to app; its value, if
    it has one, is saved under `key`."""
    data = random.Random(name).randbytes(size)
    code = words(*ldi32(0, 600_000), SLEEP, SPIN)
    sections = [info_section(Info("", epoch, 0, 0, 0))] if epoch else []
    if key:
        limits = f16(0), f16(-8), f16(8)  # epsilon, least, most
        sections.append(value_section([Value(1, 1, 0, 0, 0, "level", "m", *limits, key, None)]))
    return build(code, rodata=data, name=name, flags=2, sections=sections)


_APPS = {
    name: _app(name, size)
    for name, size in (
        ("pump", 300),
        ("valve", 400),
        ("lamp", 40),
        ("motor", 350),
    )
}
_APPS["shared"] = _app("shared", 200, key=1)
_APPS.update((name, _app(name, 120, 2)) for name in ("fan", "horn"))
for _name, _epoch, _apps in (
    ("first", 0, ("pump", "shared")),
    ("second", 0, ("valve", "shared", "lamp")),
    ("third", 0, ("motor",)),
    ("newer", 2, ("fan", "horn")),
):
    SETS[_name] = (_epoch, [_APPS[app] for app in _apps])
    NAMES[_name] = list(_apps)

_FILES = [(f"{name}.hxe", image) for name, image in _APPS.items()]
# A node that no set runs on is not to run the card.
_FILES.append(("hsx.toml", b"schema = 1\nimage = []\n"))


def _persist(name: str) -> str:
    paths = ", ".join(f'"/sd/{app}.hxe"' for app in NAMES[name])
    return f"hsx.persist({paths}, only=True)"


class Target:
    """`arrange`: Python that makes the state, on the host's `world`. `step`: what the host does,
    on `world`; `call`: what the node does. `spoil`: what both do to `part` just before.
    `boots`: the step is a hard reset, which has happened again when the node is looked at."""

    def __init__(
        self,
        name: str,
        arrange: str,
        step: str,
        call: str,
        spoil: str = "",
        boots: bool = False,
    ) -> None:
        self.name = name
        self.arrange = arrange
        self.step = step
        self.call = call
        self.spoil = spoil
        self.boots = boots


def _reset(name: str, arrange: str, spoil: str = "") -> Target:
    return Target(name, arrange, "world.reset()", "machine.reset()", spoil, boots=True)


def _save(name: str, arrange: str) -> Target:
    step = "store.values.save(1, 0x1234)"
    call = f"lock.run(hsx.runtime().provisioning.{step.replace('(', ', ', 1)}"
    return Target(name, arrange, f"world.{step}", call)


_ONE = """
world.store.format("erase everything")
world.confirmed("first")
world.store.values.save(1, 0x3C00)
world.store.values.save(2, 0x4000)
world.store.counters.enrol(KEY, 5)
"""
_BOTH = _ONE + 'world.confirmed("second")\n'
_TRIAL = _ONE + 'world.push("second")\n'
_NEWER = _ONE + 'world.push("newer")\n'
_USED_UP = _TRIAL + "world.reset()\nworld.store.values.save(1, 0x5555)\nworld.reset()\n"

_UPDATE = _persist("second") + "\nhsx.activate()"
_ROLLBACK = "finish(world.store.commit.rollback())"

TARGETS = [
    Target("stage", _ONE, 'world.stage("second")', _persist("second")),
    Target("update", _ONE, 'world.push("second")', _UPDATE),
    Target("resume", _ONE + 'world.stage("second", 0.6)', 'world.push("second")', _UPDATE),
    Target("declare", _BOTH, 'world.stage("third")', _persist("third")),
    Target("confirm", _NEWER, "world.store.commit.confirm(2)", "hsx.confirm(2)"),
    _save("value_save", _ONE),
    _save("trial_value", _TRIAL),
    Target("revert", _TRIAL, _ROLLBACK, "hsx.rollback()"),
    Target("rollback", _BOTH, _ROLLBACK, "hsx.rollback()"),
    _reset("attempt", _TRIAL),
    _reset("revert_by_attempts", _USED_UP),
    _reset("boot_repair", _BOTH, f"part.write({COPY + 20}, b'?')"),
]


def steps(kind: str) -> list[Target]:
    """The steps that a kind of case is for: nobody is at the REPL to press Ctrl-C in a reset."""
    return [target for target in TARGETS if kind != "ctrl_c" or not target.boots]


# What a node knows before its step.
_PREPARE = """
import board, gc, hsx, machine, os, time
from hsx.boot import lock
part = board.fram()
if "sd" not in os.listdir("/"):
    board.mount_sdcard("/sd")
"""
# Only what the step does is to decide at which instruction it does it: not polls, whose timer ran
# while nobody counted, what they left as garbage, or how many saved values they had found.
_QUIET = """
import gc, hsx
hsx.runtime()._timer.deinit()
while hsx.runtime().provisioning.store.values.look():
    pass
gc.threshold(-1)
gc.collect()
"""

# What runs and what the banks hold, in the words of the node.
_SHOW = """
def show(programs, slots):
    print(programs)
    for slot in slots:
        images = [(i["name"], i["version"], i["length"]) for i in slot["images"] or ()]
        print(slot["bank"], slot["active"], slot["state"], slot["digest"].hex(), images)
"""
_SHOW_NODE = (
    _SHOW
    + """
node = hsx.runtime().node
show([row["program"] for row in lock.run(node.ps)], lock.run(hsx.runtime().provisioning.slots))
"""
)


class Reference:
    """What the host knows of a step: the cells at power-up, after the node's boot and when the
    step begins (`start`, `booted`, `ready`), and the views before the step and after it."""

    def __init__(self, target: Target) -> None:
        self.target = target
        cells = bytearray(b"\xff" * FRAM_SIZE)
        _do(cells, target.arrange)
        self.start = bytes(cells)
        self.booted = boot_on_host(self.start, True)[1]
        cells = bytearray(self.booted)
        _do(cells, target.spoil)
        self.ready = bytes(cells)
        self.before = view(cells)
        _do(cells, target.step)
        self.after = view(cells)
        self.ticks = 0  # that the step takes on the node, once it was measured
        self.seconds = 0.0  # the same, on this host's clock

    def moves(self) -> bool:
        """Whether before and after can be told apart."""
        return self.before.facts != self.after.facts

    def expected(self) -> Expected:
        """What may be seen after a cut."""
        return Expected({self.before.facts, self.after.facts}, self.before)


def _do(cells: bytearray, code: str) -> None:
    names = {**vars(world), "part": Medium(cells)}
    exec(f"world = World(part)\n{code}" if "world." in code else code, names)


def view(cells: "bytes | bytearray") -> View:
    """What a store of these cells shows."""
    part = Medium(bytearray(cells))
    return View(World(part).store, part)


def boot_on_host(cells: bytes, hard: bool) -> tuple[str, bytes]:
    """What `_SHOW_NODE` must print after a boot from these cells, and the cells after it."""
    part = Medium(bytearray(cells))
    store = Store(part, attempts=ATTEMPTS)
    bank = boot(store, hard) if store.open() else 0
    programs = []
    if bank:
        reader = store.commit.reader(bank)
        names = [reader.image(index).name for index in range(reader.count)]
        programs = [f"FRAM:{BANK_NAMES[bank]}/{name}" for name in names]
    return shown(programs, store.slots()), bytes(part.memory)


def shown(programs: list[str], slots: list[dict[str, Any]]) -> str:
    """The text that `_SHOW_NODE` prints of these."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(_SHOW + "show(programs, slots)", {"programs": programs, "slots": slots})
    return said.getvalue().strip()


class Bench:
    """Runs cases, one at a time, on files in a folder of its own: a context manager."""

    def __init__(self, firmware: Path = FIRMWARE) -> None:
        self._folder = tempfile.TemporaryDirectory()
        # A copy: the file may be built anew while thousands of machines start from it.
        self._firmware = Path(self._folder.name) / "firmware.elf"
        shutil.copyfile(firmware, self._firmware)
        self._fram = Path(self._folder.name) / "fram.bin"
        self._card = Path(self._folder.name) / "card.img"
        fat_image.write(self._card, fat_image.SMALLEST, _FILES)
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
            target = reference.target
            with self._machine(reference, quiet=True) as machine:
                if self._fram.read_bytes() != reference.booted and not target.spoil:
                    raise Broken(f"the first boot of {name} left other bytes than the host's")
                start = time.perf_counter()
                if target.boots:
                    machine.begin(target.call)
                    said = machine.node.wait_console("state=over", PATIENCE)
                    found = _BOOT_DONE.search(said)
                    if not found:
                        raise Broken(f"after a reset the node says {said!r}")
                    reference.ticks = int(float(found[1]) * _TICKS_PER_SECOND)
                else:
                    machine.begin(
                        f"t = time.ticks_cpu()\n{target.call}\n"
                        "print('ticks', time.ticks_diff(time.ticks_cpu(), t))"
                    )
                    reference.ticks = int(_whole(machine.end()).split()[-1])
                reference.seconds = time.perf_counter() - start
            shown = view(self._fram.read_bytes())
            if shown.facts != reference.after.facts:
                raise Broken(f"uncut on the node, {name} ends with {shown.facts}")
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
            with self._machine(reference, quiet=False) as machine:
                _press_ctrl_c(machine, reference.target.call, int(moment))
                cells = self._fram.read_bytes()
                machine.soft_reset()
                return self._check(machine, reference, cells, hard=False)
        cells = self.cut(case)
        with Machine(self._firmware, self._fram, self._card) as machine:
            machine.enter()
            return self._check(machine, reference, cells, hard=True)

    def cut(self, case: str) -> bytes:
        """The cells that a power cut leaves."""
        _, name, kind, moment = case.split("/")
        reference = self.reference(name)
        call = reference.target.call
        with self._machine(reference, quiet=kind == "count") as machine:
            if kind == "count":
                machine.begin(f"machine.power_off_after({moment})\n{call}")
                if not machine.node.wait_off(PATIENCE):
                    raise Broken("the power did not fail")
            else:
                machine.begin(call)
                time.sleep(int(moment) / 1e6)
                machine.kill()
        return self._fram.read_bytes()

    def _machine(self, reference: Reference, quiet: bool) -> Machine:
        """A machine that has booted from the cells of before the step, ready to take it; `quiet`:
        so that it takes it the same way each time."""
        self._fram.write_bytes(reference.start)
        machine = Machine(self._firmware, self._fram, self._card)
        try:
            machine.enter()
            machine.node.wait_console("state=over", PATIENCE)
            if quiet:
                machine.run(_QUIET)
            machine.run(_PREPARE + reference.target.spoil)
            machine.run("gc.collect()")
        except BaseException:
            machine.kill()
            raise
        return machine

    def _check(self, machine: Machine, reference: Reference, cells: bytes, hard: bool) -> str:
        """What a machine must show that has just booted from `cells`."""
        outcome = check_reset(bytearray(cells), LAYOUT, reference.expected())
        shows, booted = boot_on_host(cells, hard)
        if self._fram.read_bytes() != booted:
            raise Broken("the node's boot left other bytes than the host's")
        said = machine.run(_PREPARE + _SHOW_NODE)
        if said != shows:
            raise Broken(f"the node shows {said}, the host {shows}")
        done = reference.moves() and outcome.view.facts == reference.after.facts
        if not done and not reference.target.boots:
            machine.run(reference.target.call)
            shown = view(self._fram.read_bytes())
            if shown.facts != reference.after.facts:
                raise Broken(f"started again, it ends with {shown.facts}")
        return "after" if done else "before"


def _whole(said: tuple[str, str]) -> str:
    """What code printed that raised nothing."""
    text, error = said
    if error:
        raise Broken(f"on the node: {error}")
    return text


def _press_ctrl_c(machine: Machine, call: str, ticks: int) -> None:
    """Takes the step with a Ctrl-C in it, and then stands still."""
    machine.begin(f"machine.ctrl_c_after({ticks})\n{call}")
    error = machine.end()[1]
    if error not in ("", "KeyboardInterrupt:"):
        raise Broken(f"at Ctrl-C the node says {error}")
    machine.run("machine.ctrl_c_after(0)\nhsx.runtime().stop()")
