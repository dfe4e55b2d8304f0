# SPDX-License-Identifier: MIT
"""What the tests of the store arrange with: sets of images, a store on a medium that counts."""

import binascii
import hashlib

from hsx.errors import EIO, HsxError
from hsx.store.bank import Image
from hsx.store.layout import Layout
from hsx.store.region import Region
from hsx.store.staging import Staging
from hsx.store.store import CONFIRMATION, Store
from powercut.medium import Medium
from powercut.world import boot, finish

SMALL = Layout(12, 2, 4, 0x400)  # banks of 1536 bytes
SMALL.progress = 128

# Sets of images; ONE and TWO share their second.
ONE = [bytes(range(101)), b"shared " * 20]
TWO = [bytes(range(120, 10, -1)), b"shared " * 20, b"more" * 9]
THREE = [b"\xa5" * 250, bytes(range(90))]


def an_image(name: str, data: bytes, **fields: object) -> Image:
    """The directory entry of an image."""
    image = Image(name, len(data), binascii.crc32(data), hashlib.sha256(data).digest())
    vars(image).update(fields)
    return image


def entries(parts: list[bytes], epoch: int = 1) -> list[Image]:
    """The directory of a set."""
    return [an_image(f"app{n}", data, epoch=epoch) for n, data in enumerate(parts)]


def errno(caught) -> int:
    """Of what `pytest.raises(HsxError)` has caught."""
    assert isinstance(caught.value, HsxError)
    return caught.value.errno


class Faulty(Medium):
    """Raises HsxError(`number`) at access `fail_at`, reads and writes counted together from 0, and
    `forever` at all that follow; a write that fails leaves its first `kept` bytes."""

    def __init__(
        self,
        memory: bytearray,
        fail_at: int | None = None,
        number: int = EIO,
        forever: bool = False,
        kept: int = 0,
    ) -> None:
        super().__init__(memory)
        self.accesses = 0
        self.fail_at = fail_at
        self._number = number
        self._forever = forever
        self._kept = kept

    def _fails(self) -> bool:
        at, self.accesses = self.accesses, self.accesses + 1
        if self.fail_at is None:
            return False
        return at >= self.fail_at if self._forever else at == self.fail_at

    def _read(self, addr: int, buf: memoryview) -> None:
        if self._fails():
            raise HsxError(self._number, "write", "told to fail")
        super()._read(addr, buf)

    def _write(self, addr: int, buf: memoryview) -> None:
        if self._fails():
            if self._kept:
                super()._write(addr, buf[: self._kept])
            raise HsxError(self._number, "write", "told to fail")
        super()._write(addr, buf)


class Bench:
    """A formatted store. `part`: the medium, a blank one by default."""

    def __init__(self, part: Region | None = None, layout: Layout | None = SMALL) -> None:
        size = layout.size if layout else 0x8000
        self.part = part or Medium(bytearray(b"\xff" * size))
        self.layout = layout
        self.events: list[tuple[str, dict]] = []
        self.store = self._store()
        if not self.store.open():
            self.store.format(CONFIRMATION)

    def _store(self) -> Store:
        return Store(
            self.part, emit=lambda kind, pid, d: self.events.append((kind, d)), layout=self.layout
        )

    @property
    def commit(self):
        return self.store.commit

    @property
    def state(self):
        return self.store.superblocks.state

    @property
    def cells(self) -> bytes:
        return bytes(self.part.memory)

    def reset(self, hard: bool = True) -> int:
        """The bank that boots after a reset."""
        self.reopen()
        return boot(self.store, hard)

    def reopen(self) -> None:
        """A reset up to the open store."""
        self.store = self._store()
        self.store.open()

    def stage(self, parts: list[bytes], epoch: int = 1) -> Staging:
        """A whole set, staged and not committed."""
        staging = self.commit.stage(entries(parts, epoch))
        for index, data in enumerate(parts):
            staging.write(index, 0, memoryview(data))
        return staging

    def push(self, parts: list[bytes], epoch: int = 1) -> None:
        """A set on trial."""
        self.commit.commit(self.stage(parts, epoch))

    def confirmed(self, parts: list[bytes], epoch: int = 1, floor: int = 0) -> None:
        self.push(parts, epoch)
        self.commit.confirm(floor)

    def rollback(self) -> None:
        finish(self.commit.rollback())

    def held(self, bank: int) -> list[bytes]:
        """The images of a bank, read as they stand."""
        reader = self.commit.reader(bank)
        found = []
        for at in range(reader.count):
            image = reader.image(at)
            data = bytearray(image.length)
            reader.read(image, 0, memoryview(data))
            found.append(bytes(data))
        return found
