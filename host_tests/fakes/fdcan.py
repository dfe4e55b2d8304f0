# SPDX-License-Identifier: MIT
"""The CAN controller of STM32G4 and STM32H7: FDCAN (RM0440, section 44).

Two receive FIFOs, here of three frames as in the G4. A frame sets RFxN, the third one RFxF; a
frame that finds the FIFO full sets RFxL and is lost, as the port leaves the FIFOs in blocking
mode. The flags are bits of IR that stay until software writes 1: a flag that was set while its
interrupt was off raises the line as soon as that is on, whether the frame is there still or not.

The port sends by a FIFO: frames leave in the order in which they were given.

Bus-off sets CCCR.INIT, and the controller stays off the bus until software clears that; then it
waits for 128 times 11 recessive bits (`sim_idle`).
"""

from fakes.can_controller import ACTIVE, FIFO_DEPTH, OFF, Controller, Fifo
from fakes.canbus import Frame

NEW, FULL, LOST = 1, 2, 4


class FdFifo(Fifo):
    """A FIFO with its bits of the registers IR and IE."""

    def __init__(self) -> None:
        super().__init__()
        self.flags = 0
        self.enabled = 0

    def put(self, frame: Frame, match: int) -> None:
        if len(self.frames) == FIFO_DEPTH:
            self.lost += 1
            self.overruns += not self.flags & LOST
            self.flags |= LOST
            return
        self.frames.append((frame, match))
        self.flags |= NEW
        if len(self.frames) == FIFO_DEPTH:
            self.flags |= FULL

    def take(self) -> tuple[Frame, int]:
        return self.frames.pop(0)

    def raised(self) -> bool:
        return bool(self.flags & self.enabled)


class FdCan(Controller):
    """The controller with the part of the driver that all versions of the port have."""

    _fifo = FdFifo
    _fifos: tuple[FdFifo, FdFifo]

    def _power_up(self) -> None:
        super()._power_up()
        self._order: list[int] = []  # places, in the order in which they were given
        self._restarted = False

    def sim_idle(self) -> None:
        """The bus was idle for as long as a controller that is off it has to wait."""
        if self._state == OFF and self._restarted:
            self._restarted = False
            self.sim_state = ACTIVE

    def _clear_init(self) -> None:
        """What the driver's restart() does: CCCR.INIT set and cleared, without a wait."""
        self._restarted = True

    def _first(self) -> int | None:
        while self._order:
            place = self._order.pop(0)
            if self._mailboxes[place] is not None:
                return place
        return None

    def _served(self, number: int) -> int:
        """`can_rx_irq_handler` (fdcan.c:360-388 in 1.25.0): turns off the interrupts that are due
        and clears their flags before it calls anybody. Returns these."""
        fifo = self._fifos[number]
        due = fifo.flags & fifo.enabled
        fifo.enabled &= ~due
        fifo.flags &= ~due
        return due
