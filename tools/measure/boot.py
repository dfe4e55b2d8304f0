# SPDX-License-Identifier: MIT
"""From power-on to the first instruction of an app: how many instructions, how many bytes of the
FRAM, for one app whose image has exactly 8,192 bytes, from the bank."""

import re
from pathlib import Path

from hsx import native
from hsx.image.build import build
from hsx.node.node import Node
from hsx.service.events import Events
from hsx.service.policy import Policy
from hsx.service.provisioning import Provisioning
from hsx.store.bank import Image
from hsx.store.region import Region
from hsx.store.store import CONFIRMATION, Store
from hsxctl.bank_image import describe
from hsxctl.simulate.qemu import FRAM_SIZE, QemuNode
from measure.node import PATIENCE, SHIFT
from measure.record import Figures

APP = 8192  # bytes of its image

_HEADER = 96
_SPIN = bytes.fromhex("21000000")  # JMP 0
_NOP = bytes.fromhex("04110000")  # MOV R1, R1
_STARTED = re.compile(r"\[ *([0-9]+)\.([0-9]+)\] .*boot .*state=over")
_CHUNK = 512

# How long the node takes to check what it has read of the image, and nothing else.
_VERIFY = f"""
import binascii, hashlib, time
def check(buf):
    t = time.ticks_cpu()
    for deep in range(2):
        digester = hashlib.sha256()
        crc = 0
        for _ in range({APP // _CHUNK}):
            digester.update(buf)
            if not deep:
                crc = binascii.crc32(buf, crc)
        digester.digest()
        if not deep:
            took = time.ticks_diff(time.ticks_cpu(), t)
    return took
print(check(bytearray({_CHUNK})))
"""


class _Counted(Region):
    """Cells that know how many bytes of them were read."""

    def __init__(self, cells: bytearray) -> None:
        super().__init__(len(cells))
        self.cells = cells
        self.read = 0

    def _read(self, addr: int, buf: memoryview) -> None:
        buf[:] = self.cells[addr : addr + len(buf)]
        self.read += len(buf)

    def _write(self, addr: int, buf: memoryview) -> None:
        self.cells[addr : addr + len(buf)] = buf


def app() -> bytes:
    """An image of that size that runs for ever."""
    code = _NOP * ((APP - _HEADER) // 4 - 1) + _SPIN
    image = build(code, name="app")
    assert len(image) == APP
    return image


def stored(image: bytes) -> bytearray:
    """The cells of a part that keeps it, confirmed."""
    cells = bytearray(b"\xff" * FRAM_SIZE)
    store = Store(_Counted(cells))
    store.format(CONFIRMATION)
    entry: Image = describe("", image)
    staging = store.commit.stage([entry])
    staging.write(0, 0, memoryview(image))
    store.commit.commit(staging)
    store.commit.confirm()
    return cells


def bytes_read(cells: bytearray) -> int:
    """Of the part, from the opening of the store to the start of the app, by the node's code."""
    medium = _Counted(cells)
    node = Node(native.VM(bytearray(1 << 16), 8), lambda: 0)
    events = Events(lambda: 0)
    node.emit = events.emit
    chunk = memoryview(bytearray(_CHUNK))
    policy = Policy(node.svc, events.emit)
    keeper = Provisioning(node, events, lambda: 0, policy, Store(medium), chunk)
    for steps in (keeper.open(), keeper.boot(True)):
        for _ in steps:
            pass
    assert keeper.is_running()
    return medium.read


def count(firmware: Path, folder: Path) -> Figures:
    """The figures; `verify_percent`: of the instructions, what CRC-32 and SHA-256 of the image
    take."""
    cells = stored(app())
    fram = folder / "boot.fram"
    fram.write_bytes(cells)
    with QemuNode(firmware, fram=fram, icount=SHIFT) as node:
        found = _STARTED.search(node.wait_console("state=over", PATIENCE))
        assert found is not None
        ticks = (int(found[1]) * 1000 + int(found[2])) * 1_000_000  # ns
        insns = ticks >> SHIFT
        from mpremote.transport_serial import SerialTransport

        port = SerialTransport(node.repl, timeout=PATIENCE)
        port.enter_raw_repl(soft_reset=False)
        try:
            verify = int(port.exec(_VERIFY)) * 40 >> SHIFT
        finally:
            port.serial.close()
    read = bytes_read(cells)
    return {
        "boot.insns": insns,
        "boot.insns_verify": verify,
        "boot.verify_percent": round(100 * verify / insns, 1),
        "boot.fram_bytes_read": read,
        "boot.fram_read_per_byte": round(read / APP, 3),
    }
