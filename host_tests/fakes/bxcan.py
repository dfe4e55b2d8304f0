# SPDX-License-Identifier: MIT
"""The STM32's CAN controller, as the drivers of `pyb` and `machine` find it.

What the reference manual (RM0090, bxCAN) says: two receive FIFOs of three frames; a frame that
passes several filters goes to the FIFO of the first; a FIFO that becomes full raises a flag, a
frame that finds it full raises another and takes the place of the newest, as the port leaves the
FIFO unlocked. Three transmit mailboxes: the lowest identifier leaves first, of equal ones the
lowest mailbox. Off the bus nothing is received or sent; what waits in mailboxes stays there.

What it does not say is the test's: `sim_latency_us` until an interrupt is served, and
`sim_irq_masked()`, in which none is. What stalls Python's main loop alone (a collection, a console
line) masks no interrupt: there a test just does not poll.

Not modelled: bit timing, error counters, 32-bit lists, acknowledgement, CAN FD.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fakes import Misuse, machine
from fakes.canbus import Frame

MAILBOXES = 3
FIFO_DEPTH = 3
STOPPED, ACTIVE, WARNING, PASSIVE, OFF = range(5)


class Fifo:
    """Frames with the index of the filter that took them, flags, and which interrupts are on."""

    def __init__(self) -> None:
        self.frames: list[tuple[Frame, int]] = []
        self.full = False
        self.overrun = False
        self.on_pending = False
        self.on_full = False
        self.on_overrun = False
        self.lost = 0

    def interrupts(self, on: bool, pending: bool) -> None:
        """What the drivers set together."""
        self.on_full = self.on_overrun = on
        self.on_pending = pending

    def raised(self) -> bool:
        """Whether it asks for an interrupt."""
        return (
            (self.on_pending and bool(self.frames))
            or (self.on_full and self.full)
            or (self.on_overrun and self.overrun)
        )


class BxCan:
    """A driver adds which filter takes a frame, and what it does in an interrupt."""

    def __init__(self) -> None:
        self.sim_latency_us = 0
        self.sim_stuck = False  # the bus never becomes idle, as with a short circuit
        self._state = STOPPED
        self._entered = [0] * 5  # how often a state was entered
        self._masked = False
        self._serving = False
        self._alarm: Callable[[], None] | None = None  # an interrupt that will be served
        self._power_up()

    def _power_up(self) -> None:
        """As after a reset of the peripheral."""
        self._fifos = (Fifo(), Fifo())
        self._mailboxes: list[Frame | None] = [None] * MAILBOXES
        self._entered = [0] * 5

    @property
    def sim_state(self) -> int:
        """The controller's error state; a test sets it as errors on the bus would."""
        return self._state

    @sim_state.setter
    def sim_state(self, state: int) -> None:
        if state != self._state:
            self._entered[state] += 1
        self._state = state

    def sim_transmit(self) -> Frame | None:
        """The frame that wins the bus next leaves its mailbox; None if there is none to send."""
        waiting = [frame for frame in self._mailboxes if frame is not None]
        if not waiting or self._state in (STOPPED, OFF):
            return None
        frame = min(waiting, key=lambda frame: frame.id << (0 if frame.extframe else 18))
        self._mailboxes[self._mailboxes.index(frame)] = None
        if self._looped():
            self.sim_receive(frame)
        return None if self._silent() else frame

    def sim_receive(self, frame: Frame) -> None:
        """A frame on the bus: through the filters into a FIFO, then the interrupt."""
        if self._state in (STOPPED, OFF):
            return
        found = self._match(frame)
        if found is None:
            return
        fifo = self._fifos[found[0]]
        if len(fifo.frames) == FIFO_DEPTH:
            fifo.frames[-1] = (frame, found[1])
            fifo.lost += 1
            fifo.overrun = True
        else:
            fifo.frames.append((frame, found[1]))
            fifo.full = fifo.full or len(fifo.frames) == FIFO_DEPTH
        self._serve_later()

    def sim_lost(self, fifo: int) -> int:
        """Frames that were overwritten in this FIFO before anybody read them."""
        return self._fifos[fifo].lost

    @contextmanager
    def sim_irq_masked(self) -> "Iterator[None]":
        """No interrupt is served inside, as while one of a higher priority runs or the port
        erases flash; those that are due are served at its end."""
        self._masked = True
        yield
        self._masked = False
        self._serve()

    def _serve_later(self) -> None:
        if self.sim_latency_us == 0:
            self._serve()
        elif self._alarm is None:

            def due() -> None:
                self._alarm = None
                self._serve()

            self._alarm = machine.sim_clock().sim_at(self.sim_latency_us, due)

    def _serve(self) -> None:
        if self._masked or self._serving:
            return  # both FIFOs have one priority: neither interrupts the other
        self._serving = True
        try:
            while self._state != STOPPED and any(fifo.raised() for fifo in self._fifos):
                for number, fifo in enumerate(self._fifos):
                    if fifo.raised():
                        self._interrupt(number, fifo)
        finally:
            self._serving = False

    def _check(self) -> None:
        if self._state == STOPPED:
            raise Misuse("the controller is used before init() or after deinit()")

    def _wait_for_idle(self) -> None:
        """What the drivers' restart() does: in and out of the initialisation mode."""
        if self.sim_stuck:
            raise Misuse("restart() waits for an idle bus without a limit: the node hangs")
        self.sim_state = ACTIVE

    def _looped(self) -> bool:
        raise NotImplementedError

    def _silent(self) -> bool:
        raise NotImplementedError

    def _match(self, frame: Frame) -> "tuple[int, int] | None":
        """FIFO and filter match index."""
        raise NotImplementedError

    def _interrupt(self, number: int, fifo: Fifo) -> None:
        raise NotImplementedError
