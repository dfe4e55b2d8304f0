# SPDX-License-Identifier: MIT
"""A CAN controller, as far as bxCAN and FDCAN are alike to the drivers of `pyb` and `machine`.

A controller has two receive FIFOs, each with an interrupt line of its own, and three places for
frames to send. Off the bus nothing is received or sent; what waits to be sent stays there.

The interrupt controller (NVIC) remembers: a line that rises makes its interrupt pending, even
while the handler of that interrupt runs, and a line that is still high when the handler returns
makes it pending once more (ARMv7-M, B3.4.1). So a handler may find that its cause is gone: a
callback that empties a FIFO has taken the frame that came meanwhile, and the interrupt of that
frame follows all the same.

A test sets what depends on the firmware: `sim_latency_us` until an interrupt is served, and
`sim_irq_masked()`, in which none is served. What stalls Python's main loop alone (a collection, a
console line) masks no interrupt: there a test just does not poll.

Not modelled: bit timing, error counters, acknowledgement, frames of CAN FD.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fakes import Misuse, machine
from fakes.canbus import Frame

PLACES = 3
FIFO_DEPTH = 3
STOPPED, ACTIVE, WARNING, PASSIVE, OFF = range(5)


class Fifo:
    """Frames, each with the index of the filter that took it, and the state of an interrupt."""

    def __init__(self) -> None:
        self.frames: list[tuple[Frame, int]] = []
        self.lost = 0
        self.overruns = 0  # how often the flag for that was set
        self.line = False  # the level that the interrupt controller saw last
        self.pending = False  # what it has remembered

    def put(self, frame: Frame, match: int) -> None:
        """A frame that has passed a filter."""
        raise NotImplementedError

    def take(self) -> tuple[Frame, int]:
        """The oldest frame leaves, as the driver's `can_receive` releases it."""
        raise NotImplementedError

    def raised(self) -> bool:
        """The level of the line."""
        raise NotImplementedError


class Controller:
    """A driver adds which filter takes a frame, and what it does in an interrupt. `_fifo`: the
    class of the part's FIFOs."""

    _fifo: type[Fifo]

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
        """Puts the peripheral into its state after a reset."""
        self._fifos = (self._fifo(), self._fifo())
        self._mailboxes: list[Frame | None] = [None] * PLACES
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
        """The frame that goes onto the bus next leaves its place; None if there is none."""
        if self._state in (STOPPED, OFF):
            return None
        place = self._first()
        frame = None if place is None else self._mailboxes[place]
        if place is None or frame is None:
            return None
        self._mailboxes[place] = None
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
        self._fifos[found[0]].put(frame, found[1])
        self._lines()
        self._serve_later()

    def sim_lost(self, fifo: int) -> int:
        """Frames that this FIFO had no room for."""
        return self._fifos[fifo].lost

    def sim_overruns(self, fifo: int) -> int:
        """How often this FIFO set its flag for a lost frame: what a driver can know of them."""
        return self._fifos[fifo].overruns

    @contextmanager
    def sim_irq_masked(self) -> "Iterator[None]":
        """No interrupt is served inside, as while one of a higher priority runs or the port
        erases flash; those that are due are served at its end."""
        self._masked = True
        yield
        self._masked = False
        self._serve()

    def _lines(self) -> None:
        """The interrupt controller looks at both lines."""
        for fifo in self._fifos:
            level = fifo.raised()
            if level and not fifo.line:
                fifo.pending = True
            fifo.line = level

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
            self._lines()
            while self._state != STOPPED and any(fifo.pending for fifo in self._fifos):
                number = 0 if self._fifos[0].pending else 1
                fifo = self._fifos[number]
                fifo.pending = False
                self._interrupt(number)
                self._lines()
                fifo.pending = fifo.pending or fifo.line
        finally:
            self._serving = False

    def _check(self) -> None:
        if self._state == STOPPED:
            raise Misuse("the controller is used before init() or after deinit()")

    def _first(self) -> int | None:
        """The place of the frame that leaves next."""
        raise NotImplementedError

    def _looped(self) -> bool:
        raise NotImplementedError

    def _silent(self) -> bool:
        raise NotImplementedError

    def _match(self, frame: Frame) -> "tuple[int, int] | None":
        """FIFO and filter match index."""
        raise NotImplementedError

    def _interrupt(self, number: int) -> None:
        raise NotImplementedError
