# SPDX-License-Identifier: MIT
"""The same on the firmware of PYBV11, on its emulated part: the power fails within I2C bytes.

A case has an id, which `run.py --case` runs alone:

    stm32/confirm/cycle/1234567     the power fails when the core has executed 1,234,567 cycles
                                    of the step: the FRAM's bus is in the middle of a byte

A node boots from the FRAM's file and takes the step as its link says, with the commands that
hsxctl sends; or it is switched on, where the step is a boot. An uncut run finds the cycles in
which the FRAM changes, 25 us at a time, which is little more than a byte takes: cuts fall there.
After the cut the node starts again, and `target` says what must hold; what it runs and keeps is
asked over the link. All is in virtual time, so that a case is the same one each time.
"""

import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from hsx.link import command as c
from hsx.store.bank import Image
from hsxctl.bank_image import bank_image
from hsxctl.signed_command import signed
from powercut import target, world
from powercut.invariant import Broken, check_reset
from powercut.target import Reference, shown, view
from powercut.world import SETS
from stm32.emulator import LINES, MS, US, Machine, flash_image
from stm32.uart_host import Off, UartHost

BOARD = "PYBV11"
FIRMWARE = Path(__file__).parents[2] / "build" / BOARD / "firmware.elf"
KIND = "cycle"

_SLICE = 25 * US
_REST = 100  # ms, until what a command has asked for is done
_SILENCE = 400  # ms; a set is silent while it looks for its saved values, for 270 ms
_DEAD = 60_000  # ms
_DIGEST = 16  # bytes, of a set
_, _CONSOLE, _LINK = LINES[BOARD]


def _bank(name: str) -> tuple[bytes, bytes]:
    """The bank of a set, and its digest."""
    images: list[Image] = world.images(name)
    made = bank_image(zip(images, SETS[name][1], strict=True))
    return made.data, made.digest


def _push(name: str, flags: int) -> Callable[[UartHost], None]:
    def push(host: UartHost) -> None:
        data, digest = _bank(name)
        host.push(signed(None, c.STAGE, digest, total=len(data), flags=flags), data)

    return push


def _command(action: int, acts_on: Callable[[], bytes]) -> Callable[[UartHost], None]:
    def command(host: UartHost) -> None:
        host.request("command", data=signed(None, action, acts_on()))

    return command


def _save(host: UartHost) -> None:
    (value,) = host.rows("values")
    host.request("set", value["pid"], value["oid"], 0x1234)


_UPDATE = _push("second", c.FLAG_ACTIVATE)
_ROLLBACK = _command(c.ROLLBACK, lambda: bytes(_DIGEST))

# What the host says to the node for a step of `target`; nothing for a boot.
CALLS = {
    "stage": _push("second", 0),
    "update": _UPDATE,
    "resume": _UPDATE,
    "declare": _push("third", 0),
    "confirm": _command(c.CONFIRM, lambda: _bank("newer")[1] + b"\2\0\0\0"),
    "value_save": _save,
    "trial_value": _save,
    "revert": _ROLLBACK,
    "rollback": _ROLLBACK,
}


class Stm32Bench:
    """Runs cases, one at a time, on files in a folder of its own: a context manager. `firmware`:
    the ELF file of PYBV11."""

    def __init__(self, firmware: Path = FIRMWARE) -> None:
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        self._flash = flash_image(firmware, folder / "flash")
        self._fram = folder / "fram"
        # The first boot of a new part makes its filesystem, which takes two seconds.
        with Machine(BOARD, flash=self._flash, fram=self._fram) as machine:
            _boot(machine, machine.run)
        self._flash_made = self._flash.read_bytes()
        self._references: dict[str, Reference] = {}
        self._written: dict[str, list[tuple[int, int]]] = {}

    def __enter__(self) -> "Stm32Bench":
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def cases(self, name: str, count: int, seed: int) -> Iterator[str]:
        """Ids of `count` cases at random cycles of a step in which the FRAM changes. Broken if the
        uncut step ends otherwise than on the host."""
        if name not in self._written:
            self._written[name] = self._measure(self.reference(name))
        chance = random.Random(f"{seed}/{name}/{KIND}")
        for _ in range(count):
            yield f"stm32/{name}/{KIND}/{chance.randrange(*chance.choice(self._written[name]))}"

    def run_case(self, case: str) -> str:
        """Runs the case of this id: "before" or "after", what the cut left. Broken if the
        invariant does not hold."""
        reference = self.reference(case.split("/")[1])
        with self._machine(reference) as machine:
            self._cut(machine, reference, int(case.split("/")[3]))
            cells = self._fram.read_bytes()
            return self._check(machine, reference, cells)

    def cut(self, case: str) -> bytes:
        """The cells that a power cut leaves."""
        reference = self.reference(case.split("/")[1])
        with self._machine(reference) as machine:
            self._cut(machine, reference, int(case.split("/")[3]))
        return self._fram.read_bytes()

    def reference(self, name: str) -> Reference:
        """That of the step of this name; KeyError for no such step."""
        if name not in self._references:
            step = {step.name: step for step in target.TARGETS}[name]
            self._references[name] = Reference(step)
        return self._references[name]

    def _machine(self, reference: Reference) -> Machine:
        """A machine that can take the step, or be switched on for it."""
        self._flash.write_bytes(self._flash_made)
        boots = reference.target.boots
        self._fram.write_bytes(reference.ready if boots else reference.start)
        machine = Machine(BOARD, flash=self._flash, fram=self._fram)
        if not boots:
            _boot(machine, machine.run)
            if self._fram.read_bytes() != reference.booted:
                raise Broken(f"the first boot of {reference.target.name} left other bytes")
        return machine

    def _take(self, machine: Machine, step: str, run: Callable[[int], str]) -> None:
        """Takes a step; raises Off when the power is cut."""
        if step in CALLS:
            host = UartHost(machine, _LINK, run)
            CALLS[step](host)
            host.idle(_REST)
        else:
            _boot(machine, run)

    def _cut(self, machine: Machine, reference: Reference, cycle: int) -> None:
        if reference.target.boots:
            machine.power(True)
        machine.command("cut", "cycle", machine.cycles + cycle)
        try:
            self._take(machine, reference.target.name, machine.run)
        except Off:
            return
        raise Broken("the power did not fail")

    def _measure(self, reference: Reference) -> list[tuple[int, int]]:
        """Takes the step uncut; the cycles, from and to, in which the FRAM has changed."""
        found = []
        cells = b""
        with self._machine(reference) as machine:

            def run(nanoseconds: int) -> str:
                nonlocal cells
                end = machine.time_ps + nanoseconds * 1000
                while machine.time_ps < end:
                    before = machine.cycles
                    machine.run(_SLICE)
                    now = self._fram.read_bytes()
                    if now != cells:
                        found.append((before - start, machine.cycles - start))
                    cells = now
                return "time"

            if reference.target.boots:
                machine.power(True)
            start = machine.cycles
            cells = self._fram.read_bytes()
            self._take(machine, reference.target.name, run)
        facts = view(cells).facts
        if facts != reference.after.facts:
            raise Broken(f"uncut on the node, {reference.target.name} ends with {facts}")
        return found

    def _check(self, machine: Machine, reference: Reference, cells: bytes) -> str:
        """What a machine must show that boots from `cells`."""
        outcome = check_reset(bytearray(cells), target.LAYOUT, reference.expected())
        shows, booted = target.boot_on_host(cells, True)
        _boot(machine, machine.run)
        if self._fram.read_bytes() != booted:
            raise Broken("the node's boot left other bytes than the host's")
        said = _shown(UartHost(machine, _LINK))
        if said != shows:
            raise Broken(f"the node shows {said}, the host {shows}")
        done = reference.moves() and outcome.view.facts == reference.after.facts
        if not done and not reference.target.boots:
            self._take(machine, reference.target.name, machine.run)
            facts = view(self._fram.read_bytes()).facts
            if facts != reference.after.facts:
                raise Broken(f"started again, it ends with {facts}")
        return "after" if done else "before"


def _boot(machine: Machine, run: Callable[[int], str]) -> None:
    """Switches the machine on, if it is off, and waits for the end of its boot: until its console
    says so, or is silent, as it drops the last lines of a long log."""
    machine.power(True)
    log = b""
    silent = 0
    while b"state=over" not in log and (not log or silent < _SILENCE):
        if run(MS) == "cut":
            raise Off
        text = machine.take(_CONSOLE)
        silent = 0 if text else silent + 1
        log += text
        if silent > _DEAD:
            raise Broken("the node does not boot")


def _shown(host: UartHost) -> str:
    """What runs and what the banks hold, as the node says it over the link."""
    programs = [row["program"] for row in host.rows("ps")]
    slots = host.rows("slots")
    for number, slot in enumerate(slots):
        slot["images"] = host.rows("images", number) if slot["images"] else []
    return shown(programs, slots)
