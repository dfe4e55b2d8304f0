# SPDX-License-Identifier: MIT
"""What goes over a CAN bus."""

from typing import NamedTuple

from fakes import Misuse

# Bytes that FDCAN's driver takes for a DLC, also of a classic frame (`DLCtoBytes`, fdcan.c).
FD_BYTES = (0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64)


class Frame(NamedTuple):
    """A frame on the wire. Of a remote frame only the length of `data` is there. `dlc`: where it
    says more than `data` has; CAN permits 9 to 15 for 8 bytes (ISO 11898-1, 8.4.2.4)."""

    id: int
    data: bytes = b""
    extframe: bool = False
    rtr: bool = False
    dlc: int = 0

    def length(self) -> int:
        """The DLC field: 0 to 15."""
        return max(self.dlc, len(self.data))

    def bits16(self) -> int:
        """What the controller's 16-bit filters see: 11 bits of id, RTR, IDE, 3 bits of id."""
        if self.extframe:
            return self.id >> 18 << 5 | self.rtr << 4 | 1 << 3 | self.id >> 15 & 7
        return self.id << 5 | self.rtr << 4


def written(view: memoryview, data: bytes) -> memoryview:
    """The caller's memoryview after the drivers' `recv`, which copies `data` to the start of its
    buffer and sets its length, and does not look how long the buffer is."""
    whole = memoryview(view.obj)
    if len(data) > len(whole):
        raise Misuse(f"recv writes {len(data)} bytes into a buffer of {len(whole)}, and beyond it")
    whole[: len(data)] = data
    return whole[: len(data)]
