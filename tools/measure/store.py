# SPDX-License-Identifier: MIT
"""How much the store writes for what it keeps, counted at the medium, everything included; and
how much of the node's heap an update takes meanwhile."""

import binascii
import hashlib
import random
from pathlib import Path

from mpremote.transport_serial import SerialTransport

from hsx.image.build import build
from hsx.store.bank import Image
from hsx.store.region import SubRegion
from hsx.store.store import CONFIRMATION, Store
from hsxctl import fat_image
from hsxctl.simulate.qemu import QemuNode
from hsxctl.store_file import Ram
from measure.record import Figures

KIB = 1024
PART = 128 * KIB
# Bytes of images and the part that they go to: from the smallest that counts to full banks.
SETS = ((16 * KIB, PART), (32 * KIB, PART), (59 * KIB, PART), (240 * KIB, 512 * KIB))
APP = 8 * KIB  # bytes of each app of the set of four
PATIENCE = 60  # seconds for the node
_CHUNK = 512  # bytes, as a card is read
_MANIFEST = ("hsx.toml", b"schema = 1\n")  # nothing boots


class Node:
    """A store that takes one update after the other. `part`: bytes of its medium."""

    def __init__(self, part: int) -> None:
        self.medium = SubRegion(Ram(b"\xff" * part), 0, part)
        self.store = Store(self.medium)
        self.store.format(CONFIRMATION)

    def update(self, images: list[bytes]) -> tuple[int, int]:
        """A set, from begin to commit: bytes written, bytes of directory and images. What the
        active bank has is carried over, the rest comes in chunks. The set is then confirmed."""
        before = self.medium.written
        staging = self.store.commit.stage([_entry(n, data) for n, data in enumerate(images)])
        for _ in staging.carry_over():
            self.store.poll(0)
        for index, data in enumerate(images):
            for at in range(staging.resume_at(index), len(data), _CHUNK):
                staging.write(index, at, memoryview(data)[at : at + _CHUNK])
                self.store.poll(0)
        self.store.commit.commit(staging)
        written = self.medium.written - before
        self.store.commit.confirm()
        return written, staging.total


def _entry(number: int, data: bytes) -> Image:
    digest = hashlib.sha256(data).digest()
    return Image(f"app{number}", len(data), binascii.crc32(data), digest)


def a_set(count: int, size: int, seed: int) -> list[bytes]:
    """`count` images of `size` bytes together, alike in nothing with those of another seed."""
    chance = random.Random(seed)
    return [chance.randbytes(size // count) for _ in range(count)]


def write_amplification(size: int, part: int) -> float:
    """Bytes written over bytes of the set, for images of `size` bytes that are all new, into a
    bank that holds a set: the dearest case, as that bank has first to be declared empty."""
    node = Node(part)
    for seed in (1, 2):
        node.update(a_set(4, size, seed))
    written, total = node.update(a_set(4, size, 3))
    return written / total


def changed_image(fresh: bool, growth: int = 0) -> int:
    """Bytes written when one of four apps is new, the second, `growth` bytes longer than before.
    `fresh`: the bank was never written; else it holds the set of two updates ago."""
    node = Node(PART)
    images = a_set(4, 4 * APP, 1)
    node.update(images)
    if not fresh:
        images[1] = random.Random(2).randbytes(APP)
        node.update(images)
    images[1] = random.Random(3).randbytes(APP + growth)
    return node.update(images)[0]


def ram_high_water(firmware: Path, folder: Path) -> int:
    """Bytes of the target's heap that an update of four apps, 32 KiB together, holds at most, from
    begin to commit. The least of three runs: the collector takes what lies on the stack for a
    pointer if it looks like one, and so keeps what nobody holds."""
    return min(_ram_high_water(firmware, folder) for _ in range(3))


def _ram_high_water(firmware: Path, folder: Path) -> int:
    apps = [build(b"\x01\0\0\0" * (APP // 4 - 24), name=f"app{n}") for n in range(4)]
    card, fram = folder / "update.img", folder / "update.fram"
    names = [f"app{n}.hxe" for n in range(4)]
    fat_image.write(card, fat_image.SMALLEST, [*zip(names, apps, strict=True), _MANIFEST])
    fram.unlink(missing_ok=True)
    with QemuNode(firmware, sd=card, fram=fram) as node:
        node.wait_console("state=over", PATIENCE)
        port = SerialTransport(node.repl, timeout=PATIENCE)
        port.enter_raw_repl(soft_reset=False)
        try:
            port.exec("import hsx; hsx.format('erase everything')")
            port.exec((Path(__file__).parent / "update_on_node.py").read_text())
            paths = [f"/sd/{name}" for name in names]
            return int(port.exec(f"print(update({paths}))"))
        finally:
            port.serial.close()


def count() -> Figures:
    """The bytes that the store writes; `write_amplification` is the worst of the sets."""
    sets = {
        f"store.write_amplification_{size // KIB}_kib": round(write_amplification(size, part), 4)
        for size, part in SETS
    }
    return {
        "store.write_amplification": max(sets.values()),
        **sets,
        "store.bytes_per_changed_image": changed_image(fresh=False),
        "store.bytes_per_changed_image_fresh": changed_image(fresh=True),
        "store.bytes_per_changed_image_longer": changed_image(fresh=False, growth=100),
        "store.bytes_of_changed_image": APP,
    }
