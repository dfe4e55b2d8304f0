# SPDX-License-Identifier: MIT
"""The CAN controller of STM32F4: bxCAN (RM0090, section 32).

Two receive FIFOs of three frames; a frame that passes several filters goes to the FIFO of the
first. A FIFO that becomes full raises FULL; a frame that finds it full raises FOVR and takes the
place of the newest, as the port leaves the FIFO unlocked. FULL and FOVR are cleared by writing 1.
Three transmit mailboxes: the lowest identifier leaves first, of equal ones the lowest mailbox.

`can_receive` of the port releases a frame by `*rfr |= RFOM` (can.c:212 in 1.25.0, :326 in master
1c3c2011 of 2026-08): FULL and FOVR, read as 1, are written back and so cleared, unseen.
`machine.mem32` has the registers RF0R and RF1R of CAN1.
"""

from fakes import Misuse, machine
from fakes.can_controller import ACTIVE, FIFO_DEPTH, Controller, Fifo
from fakes.canbus import Frame

RF0R, RF1R = 0x4000_640C, 0x4000_6410
_FULL, _FOVR = 0x08, 0x10


class BxFifo(Fifo):
    """A FIFO with its flags, and which interrupts are on."""

    def __init__(self) -> None:
        super().__init__()
        self.full = False
        self.overrun = False
        self.on_pending = False
        self.on_full = False
        self.on_overrun = False

    def interrupts(self, on: bool, pending: bool) -> None:
        """What the drivers set together."""
        self.on_full = self.on_overrun = on
        self.on_pending = pending

    def put(self, frame: Frame, match: int) -> None:
        if len(self.frames) == FIFO_DEPTH:
            self.frames[-1] = (frame, match)
            self.lost += 1
            self.overruns += not self.overrun
            self.overrun = True
        else:
            self.frames.append((frame, match))
            self.full = self.full or len(self.frames) == FIFO_DEPTH

    def take(self) -> tuple[Frame, int]:
        self.full = self.overrun = False
        return self.frames.pop(0)

    def raised(self) -> bool:
        return (
            (self.on_pending and bool(self.frames))
            or (self.on_full and self.full)
            or (self.on_overrun and self.overrun)
        )

    def register(self) -> int:
        """RFxR."""
        return len(self.frames) | _FULL * self.full | _FOVR * self.overrun


class BxCan(Controller):
    """The controller at CAN1's addresses."""

    _fifo = BxFifo
    _fifos: tuple[BxFifo, BxFifo]

    def _power_up(self) -> None:
        super()._power_up()
        for address, fifo in zip((RF0R, RF1R), self._fifos, strict=True):
            machine.sim_register(address, fifo.register)

    def _first(self) -> int | None:
        waiting = [frame for frame in self._mailboxes if frame is not None]
        if not waiting:
            return None
        first = min(waiting, key=lambda frame: frame.id << (0 if frame.extframe else 18))
        return self._mailboxes.index(first)

    def _wait_for_idle(self) -> None:
        """What the drivers' restart() does: in and out of the initialisation mode."""
        if self.sim_stuck:
            raise Misuse("restart() waits for an idle bus without a limit: the node hangs")
        self.sim_state = ACTIVE
