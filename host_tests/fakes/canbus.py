# SPDX-License-Identifier: MIT
"""What goes over a CAN bus."""

from typing import NamedTuple


class Frame(NamedTuple):
    """A frame on the wire. Of a remote frame only the length of `data` is there."""

    id: int
    data: bytes = b""
    extframe: bool = False
    rtr: bool = False

    def bits16(self) -> int:
        """What the controller's 16-bit filters see: 11 bits of id, RTR, IDE, 3 bits of id."""
        if self.extframe:
            return self.id >> 18 << 5 | self.rtr << 4 | 1 << 3 | self.id >> 15 & 7
        return self.id << 5 | self.rtr << 4
