# SPDX-License-Identifier: MIT
"""Boots a node from what a case says, and sees what it becomes.

A case has an id, `bank/card/bus`, with a fourth part for a cut: ticks of 40 ns from power-on at
which the power fails. The machine counts instructions, so it is the same one each time.
"""

import contextlib
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.images import SLEEP, SPIN, ldi32, words
from bootmatrix import table
from bootmatrix.bus import Master
from hsx.image.build import build, info_section
from hsx.image.metadata import Info
from hsx.link import command as c
from hsx.store.bank import Image
from hsx.store.layout import layout_of
from hsxctl import fat_image
from hsxctl.bank_image import bank_image, describe
from hsxctl.signed_command import signed
from hsxctl.simulate.qemu import FRAM_SIZE
from powercut.line import Machine
from powercut.medium import Medium
from powercut.world import World
from waiting import PATIENCE

NODE = 5
TICKS_PER_SECOND = 25_000_000

_ICOUNT = 6  # 64 ns an instruction
_LONGEST = 300_000_000  # ticks that a boot with a transfer takes
_OVER = re.compile(r"\[ *([0-9.]+)\] .*boot .*state=over")
# How long the boot waits for a master, in ms of the node's own time: long where there is an answer
# to come, and where its end is to be seen.
_WAIT = {"none": 3000, "serving": 200000, "dying": 20000}
_CONFIG = f"""schema = 1
number = {NODE}
sd = "update"
can_wait_ms = """
_SHOW = """
import hsx
from hsx.boot import lock
def show():
    node = hsx.runtime().node
    state = hsx.runtime().provisioning.status()["state"]
    rows = node.ps()
    names = [row["app_name"] for row in rows if row["state"] in ("ready", "sleeping")]
    if not names:
        return "nothing"
    keeper = hsx.runtime().provisioning
    kept = [image.version for image in keeper.images()] if state != "none" else []
    if not rows[0]["program"].startswith("FRAM:"):
        return rows[0]["program"]
    return " ".join(kept + [state])
print(lock.run(show))
"""


def _app(version: str) -> bytes:
    """An image that sleeps."""
    code = words(*ldi32(0, 600_000), SLEEP, SPIN)
    sections = (info_section(Info(version, 0, 0, 0, 0)),)
    return build(code, rodata=version.encode() * 100, name="pump", flags=2, sections=sections)


APPS = {version: _app(version) for version in ("1.0", "1.1", "1.2", "1.3", "2.0")}


def _damaged(image: bytes) -> bytes:
    return image[:80] + bytes([image[80] ^ 1]) + image[81:]


_MANIFEST = b'schema = 1\n[[image]]\nfile = "pump.hxe"\n'
_CARDS = {
    "good": (_MANIFEST, APPS["1.1"]),
    "newer": (_MANIFEST, APPS["1.3"]),
    "older": (_MANIFEST, APPS["1.0"]),
    "damaged": (_MANIFEST, _damaged(APPS["1.3"])),
    "bad manifest": (b"schema = 1\n[[image]\n", APPS["1.3"]),
}


def _entry(version: str) -> Image:
    entry = describe("", APPS[version])
    entry.source = 1
    return entry


def cells(bank: str) -> bytes:
    """The FRAM that a case begins with."""
    memory = bytearray(b"\xff" * FRAM_SIZE)
    world = World(Medium(memory), layout_of(FRAM_SIZE))
    world.store.format("erase everything")
    if bank != "none":
        _push(world, "1.1")
        world.store.commit.confirm()
    if bank == "trial":
        _push(world, "1.2")
    if bank == "damaged":
        memory[memory.rindex(APPS["1.1"]) + 100] ^= 1
    return bytes(memory)


def _push(world: World, version: str) -> None:
    store = world.store
    staging = store.commit.stage([_entry(version)])
    staging.write(0, 0, memoryview(APPS[version]))
    store.commit.commit(staging)


def is_answered(bank: str, card: str, bus: str) -> bool:
    """Whether what runs is to come from the master."""
    expected = table.expected()
    return expected[bank, card, bus] != expected[bank, card, "none"]


class Bench:
    """Runs cases, one at a time, on files in a folder of its own: a context manager."""

    def __init__(self, firmware: Path) -> None:
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        # A copy: the file may be built anew while machines start from it.
        self._firmware = folder / "firmware.elf"
        shutil.copyfile(firmware, self._firmware)
        self._fram = folder / "fram.bin"
        self._flashes = {bus: folder / f"flash-{bus}.img" for bus in _WAIT}
        for bus, flash in self._flashes.items():
            text = f"{_CONFIG}{_WAIT[bus]}\n"
            fat_image.write(flash, fat_image.SMALLEST, [("hsx.toml", text.encode())])
        self._cards: dict[str, Path | None] = {"none": None}
        for name, (manifest, image) in _CARDS.items():
            card = folder / f"{name.replace(' ', '-')}.img"
            files = [("hsx.toml", manifest), ("pump.hxe", image)]
            fat_image.write(card, fat_image.SMALLEST, files)
            self._cards[name] = card
        sent = bank_image([(_entry("2.0"), APPS["2.0"])])
        header = signed(None, c.STAGE, sent.digest, total=len(sent.data), flags=c.FLAG_ACTIVATE)
        self._sent = (header, sent.data, sent.digest)

    def __enter__(self) -> "Bench":
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def boot(self, bank: str, card: str, bus: str) -> tuple[str, int]:
        """What runs after a boot, and how many ticks it took."""
        self._fram.write_bytes(cells(bank))
        got, took = self._look(bank, card, bus)
        return got, _LONGEST if is_answered(bank, card, bus) else took

    def cut(self, bank: str, card: str, bus: str, ticks: int) -> str:
        """What runs after a boot that the power has cut, and then a free one."""
        self._fram.write_bytes(cells(bank))
        with self._machine(card, bus, off=ticks) as machine:
            if not machine.node.wait_off(PATIENCE):
                raise AssertionError("the power did not fail")
        return self._look(bank, card, bus)[0]

    def _look(self, bank: str, card: str, bus: str) -> tuple[str, int]:
        # Who counts instructions has a clock of its own, on which a master of this host's time is
        # late: a transfer that is to succeed takes place in real time.
        icount = None if is_answered(bank, card, bus) else _ICOUNT
        with self._machine(card, bus, icount) as machine:
            said = machine.node.wait_console("state=over", PATIENCE)
            found = _OVER.search(said)
            assert found is not None, said
            machine.enter()
            return machine.run(_SHOW), int(float(found[1]) * TICKS_PER_SECOND)

    @contextlib.contextmanager
    def _machine(
        self, card: str, bus: str, icount: int | None = _ICOUNT, off: int = 0
    ) -> Iterator[Machine]:
        line, theirs = socket.socketpair()
        master = None
        files = (self._firmware, self._fram, self._cards[card])
        with Machine(
            *files, icount=icount, flash=self._flashes[bus], uart3=theirs, off=off
        ) as machine:
            if bus != "none":
                master = Master(line, *self._sent, dies=bus == "dying")
            try:
                yield machine
            finally:
                if master is not None:
                    master.close()
                else:
                    line.close()
