# SPDX-License-Identifier: MIT
"""Guard: why the node started, how often its set has faulted, whether it may start anything.

The kept word of a board outlives every reset but the loss of power: the low byte counts the starts
that faults have cost since then, a flag asks for the safe mode at the next start.
"""

from micropython import const

from .. import ticks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..contracts import Board, Clock
    from .config import Config

_COUNT = const(0xFF)
_SAFE = const(0x100)


class Guard:
    """Of one start. `cause`: what began it, in the board's words; `faulted`: a fault did."""

    def __init__(self, board: "Board", config: "Config", clock: "Clock") -> None:
        self._board = board
        self._config = config
        self._clock = clock
        self.cause = board.reset_cause()
        self.faulted = self.cause in ("watchdog", "hard fault", "brown-out")
        word = board.kept()
        self._used = word & _COUNT  # restarts
        self._asked = bool(word & _SAFE)
        self._calm = clock()  # tick of the last fault, or of the start
        if word & _SAFE:
            board.keep(self._used)

    def safe(self) -> str:
        """Who asks for the safe mode: pin, host, file or configuration; "" if nobody does."""
        if self._board.safe_pin():
            return "pin"
        if self._asked:
            return "host"
        return self._config.safe

    def may_start(self, what: str = "") -> bool:
        """Whether a confirmed set that has faulted starts once more: counts it."""
        self._calm = self._clock()
        if self._used >= self._config.restarts:
            return False
        self._used += 1
        self._board.keep(self._used)
        return True

    def poll(self, now: int) -> None:
        """Forgets the restarts after a quiet time."""
        if self._used and ticks.diff(now, self._calm) >= 1000 * self._config.confirm_s:
            self._used = 0
            self._board.keep(0)

    def reset(self, safe: bool = False) -> None:
        """Resets the node; with `safe` it starts nothing then."""
        self._board.keep(self._used | _SAFE if safe else self._used)
        self._board.reset()
