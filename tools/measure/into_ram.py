# SPDX-License-Identifier: MIT
"""Runs ON a node with FRAM, behind on_node.py: a sink that stages for real, into memory.

The store's partitions lie over RAM instead of the FRAM, whose bus this board works bit by bit in
C: on a part with an I2C controller the CPU has no part in that.
"""

import hsx
from hsx.service.signed_commands import SignedCommands
from hsx.service.transfer import Transfer

# The node's own links make room: it is stopped.
links = hsx.runtime().links
links.close()
for made in (links.runners, links._engines, links._requests):
    made.clear()

_PAGE = const(512)  # noqa: F821  MicroPython's compiler knows `const`


class Ram:
    """A page of memory that is a whole region: each block meets the one before."""

    def __init__(self):
        self._view = memoryview(bytearray(_PAGE))

    def readinto(self, addr, buf):
        at = addr % _PAGE
        buf[:] = self._view[at : at + len(buf)]

    def write(self, addr, buf):
        at = addr % _PAGE
        self._view[at : at + len(buf)] = buf


class Staged(Transfer):
    """Takes a stream as any link's sink does, but for its end: there is no bank to read back."""

    over = False

    def __init__(self):
        loads = hsx.runtime().provisioning
        super().__init__(loads, SignedCommands(loads))

    def lie_over(self, records, banks):
        """The partitions from now on; the medium that they had."""
        store = self._loads.store
        before = store.staging._region._parent
        store.staging._region._parent = store.superblocks._region._parent = records
        for bank in store._banks:
            bank._parent = banks
        return before

    def end(self):
        return 0

    def poll(self, now):
        self.abort()
        self.over = True
        return 0
