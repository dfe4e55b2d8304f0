# SPDX-License-Identifier: MIT
"""Runs ON a node with FRAM, behind on_node.py: a sink that stages for real, into memory.

The store's partitions lie over a region in RAM instead of the FRAM, whose bus this board works bit
by bit in C: on a part with an I2C controller nobody counts along.
"""

import hsx
from hsx.service.signed_commands import SignedCommands
from hsx.service.transfer import Transfer
from hsx.store.region import Region

_PAGE = const(512)  # noqa: F821  MicroPython's compiler knows `const`
_BANKS = const(0x2000)  # noqa: F821  where they begin on a medium of this size


class Ram(Region):
    """A page for all records, and one for both banks, in which each block meets the one before."""

    def __init__(self, size):
        super().__init__(size)
        self._view = memoryview(bytearray(2 * _PAGE))

    def _at(self, addr):
        return addr % _PAGE + (_PAGE if addr >= _BANKS else 0)

    def _read(self, addr, buf):
        at = self._at(addr)
        buf[:] = self._view[at : at + len(buf)]

    def _write(self, addr, buf):
        at = self._at(addr)
        self._view[at : at + len(buf)] = buf


class Staged(Transfer):
    """Takes a stream as any link's sink does, but for its end: there is no bank to read back."""

    over = False

    def __init__(self):
        loads = hsx.runtime().provisioning
        if not loads.store.valid:
            loads.store.format("erase everything")
        super().__init__(loads, SignedCommands(loads))

    def lie_over(self, medium):
        """The partitions from now on; the one they had."""
        store = self._loads.store
        before = store.staging._region._parent
        for region in [store.staging._region, store.superblocks._region] + store._banks:
            region._parent = medium
        return before

    def end(self):
        return 0

    def poll(self, now):
        self.abort()
        self.over = True
        return 0
