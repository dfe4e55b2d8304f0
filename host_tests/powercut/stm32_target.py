# SPDX-License-Identifier: MIT
"""The same on the firmware of PYBV11, on its emulated part: the power fails within I2C transfers.

A case has an id, which `run.py --case` runs alone:

    stm32/confirm/edge/1234567-8    1,234,567 ns into the step the power fails with the eighth
                                    rising edge of the FRAM's clock that follows: in the middle of
                                    a byte, of which the FRAM keeps nothing

The FRAM writes each byte as it acknowledges it, so superblocks and directories tear anywhere. All
is in virtual time, so that a case is the same one each time.
"""

import random
from collections.abc import Iterator
from pathlib import Path

from powercut.line import EmulatedStm32
from powercut.target import Bench, Reference, steps, whole
from stm32.emulator import flash_image

FIRMWARE = Path(__file__).parents[2] / "build/PYBV11/firmware.elf"

KIND = "edge"
_EDGES = 300  # of the clock that a case lets pass, at most: a transfer of 32 bytes has 324


class Stm32Bench(Bench):
    """Runs cases as `target.Bench` does. `firmware`: the ELF file of PYBV11."""

    def __init__(self, firmware: Path = FIRMWARE) -> None:
        super().__init__(firmware)
        self._flash = flash_image(self._firmware, Path(self._folder.name) / "flash")

    def cases(self, name: str, kind: str, count: int, seed: int) -> Iterator[str]:
        reference = self.measured(name)
        chance = random.Random(f"{seed}/{name}/{kind}")
        for _ in range(count):
            moment = f"{chance.randrange(reference.ticks)}-{chance.randrange(_EDGES)}"
            yield f"stm32/{name}/{kind}/{moment}"

    def cut(self, case: str) -> bytes:
        _, name, _, moment = case.split("/")
        nanoseconds, edge = map(int, moment.split("-"))
        reference = self.reference(name)
        with self._machine(reference, quiet=True) as machine:
            machine.begin(reference.target.call)
            machine.cut(nanoseconds, edge)
        return self._fram.read_bytes()

    def _measure(self, machine: EmulatedStm32, reference: Reference) -> None:
        start = machine.elapsed()
        machine.begin(reference.target.call)
        if reference.target.boots:
            machine.booted()
        else:
            whole(machine.end())
        reference.ticks = machine.elapsed() - start

    def _powered(self) -> EmulatedStm32:
        return EmulatedStm32(self._flash, self._fram, self._card)


NAMES = [target.name for target in steps(KIND)]
