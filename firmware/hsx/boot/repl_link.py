# SPDX-License-Identifier: MIT
"""The REPL as a link: a host that runs code there asks and sends as over any other.

The host's half is `hsxctl --repl`: it gets the link from `Links.repl()` and calls what stands
here. The REPL is local and trusted, so that nothing has to be signed; all else holds as for the
other links: one transfer at a time, the same checks, the same events.
"""

from binascii import a2b_base64, hexlify

from micropython import const

from .. import ticks
from ..service.requests import Requests
from ..service.signed_commands import SignedCommands
from ..service.transfer import Transfer
from . import lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..contracts import Board
    from ..service.loads import Loads

_SILENCE = const(10000)  # ms without a call after which a transfer is given up
_TURN = const(100)  # ms that one call of `finish` may take


class ReplLink:
    """A runner (`contracts.Runner`) whose bytes come by calls; all of them take the lock.
    Numbers below 0 are -errno."""

    name = "REPL"

    def __init__(self, board: "Board", loads: "Loads") -> None:
        commands = SignedCommands(loads, local=True)
        self._clock = loads.clock
        self._requests = Requests(loads, board.unique_id(), board.NAME, commands.perform)
        self._transfer = Transfer(loads, commands)
        self._busy = False  # a transfer is on its way
        self._heard = 0  # tick of the last call

    # ---- what the host calls -------------------------------------------------------------------

    def ask(self, message: bytes) -> str:
        """The reply to a message of the node protocol, in hex."""
        return lock.run(self._ask, message)

    def event(self) -> str:
        """The next event, in hex, if the host has subscribed and there is one."""
        return lock.run(self._event)

    def begin(self, header: str, total: int) -> int:
        """As `contracts.Sink.begin`; the header in base64."""
        return lock.run(self._begin, a2b_base64(header), total)

    def write(self, offset: int, data: str) -> int:
        """As `contracts.Sink.write`; the data in base64."""
        return lock.run(self._write, offset, a2b_base64(data))

    def holds(self, offset: int, size: int) -> bool:
        """As `contracts.Sink.holds`."""
        return lock.run(self._transfer.holds, offset, size)

    def end(self) -> int:
        """As `contracts.Sink.end`."""
        return lock.run(self._transfer.end)

    def finish(self) -> int:
        """As `contracts.Sink.poll`, for a while."""
        until = ticks.add(self._clock(), _TURN)
        left = lock.run(self._step)
        while left > 0 and not ticks.reached(self._clock(), until):
            left = lock.run(self._step)
        return left

    def digest(self) -> str:
        """Of what was read back, in hex."""
        return hexlify(self._transfer.digest).decode()

    def abort(self) -> None:
        """Gives a transfer up."""
        lock.run(self.close)

    # ---- as a runner ---------------------------------------------------------------------------

    def open(self) -> None:
        """There is nothing to open."""

    def poll(self, now: int) -> int:
        """Gives up the transfer of a host that has gone."""
        if self._busy and ticks.diff(now, self._heard) > _SILENCE:
            self.close()
        return _SILENCE

    def close(self) -> None:
        """Gives a transfer up."""
        if self._busy:
            self._busy = False
            self._transfer.abort()

    def stats(self) -> "dict[str, int]":
        """Nothing is counted."""
        return {}

    # ---- under the lock ------------------------------------------------------------------------

    def _ask(self, message: bytes) -> str:
        self._heard = self._clock()
        return hexlify(self._requests.message(memoryview(message), self._heard)).decode()

    def _event(self) -> str:
        return hexlify(self._requests.event(self._clock())).decode()

    def _begin(self, header: bytes, total: int) -> int:
        self._heard = self._clock()
        there = self._transfer.begin(memoryview(header), total, self.name)
        self._busy = there >= 0
        return there

    def _write(self, offset: int, data: bytes) -> int:
        self._heard = self._clock()
        result = self._transfer.write(offset, memoryview(data))
        self._busy = result >= 0
        return result

    def _step(self) -> int:
        self._heard = self._clock()
        left = self._transfer.poll(self._heard)
        self._busy = left > 0
        return left
