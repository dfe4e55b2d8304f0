# SPDX-License-Identifier: MIT
"""The node's links: engines for what the board has, and the turns that they get."""

import time

from micropython import const

from ..service.requests import Requests
from ..service.signed_commands import SignedCommands
from ..service.transfer import Transfer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..contracts import Board, Runner
    from ..link.can_node import CanNode
    from ..link.uart_node import UartNode
    from ..service.loads import Loads


_GAP = const(15000)  # us between two polls, a stall included
_BURST = const(4)  # frames that a master that keeps a pace sends at once
_FRAMES = const(64)  # of a block
_UNWANTED = const(0x700)  # DATA of no session
_BESIDES = const(3)  # interrupt, ring, CRC and Python on the way to the medium: so many times that


def pace(block_us: int, frame_us: int, frames: int) -> int:
    """DATA frames in a second that a node can take without losing any. While it writes a block,
    `block_us`, and until it looks again, they wait in a ring of `frames`; and the 64 of a block,
    `frame_us` each, and its writing take no longer than the next 64 need to come."""
    room = (frames - _BURST) * 1_000_000 // (block_us + _GAP)
    return min(room, _FRAMES * 1_000_000 // (block_us + _FRAMES * frame_us + 1))


def _us(since: int) -> int:
    return time.ticks_diff(time.ticks_us(), since)  # type: ignore[arg-type]


class Links:
    """Made once, at boot: `board.links(self)` asks for engines and gives the runners, none of
    which is opened yet. A link that cannot be opened is told; the others go on."""

    def __init__(self, board: "Board", loads: "Loads") -> None:
        self._board = board
        self._loads = loads
        self._commands = SignedCommands(loads)
        self._engines: "list[Any]" = []
        self._requests: "list[Requests]" = []
        self._events: "list[bytes]" = []  # one a link that waits to be sent
        self.runners: "list[Runner]" = board.links(self)

    def uart(self, name: str, chunk: int = 1024, backlog: int = 1048) -> "UartNode":
        """The engine of a UART; `name` is the source that `ps` shows. The rest as UartNode."""
        from ..link.uart_node import UartNode

        transfer = Transfer(self._loads, self._commands)
        return self._added(UartNode(transfer, self._asked(), name, chunk, backlog))

    def can(self, name: str, frames: int = 72) -> "CanNode":
        """The engine of a CAN bus; `name` as CanNode. `frames`: what the runner holds between two
        polls, by which, with the speed of CPU and medium, the node knows its pace."""
        from ..link.can_node import CanNode

        transfer = Transfer(self._loads, self._commands)
        policy = self._loads.policy
        uid = self._board.unique_id()
        engine = CanNode(transfer, policy.number, self._asked(), uid, source=name)
        engine.pace = pace(self._block_us(), self._frame_us(engine), frames)
        return self._added(engine)

    def open(self) -> None:
        """Opens them all."""
        for runner in list(self.runners):
            try:
                runner.open()
            except OSError as error:
                self.runners.remove(runner)
                self._loads.events.warn(runner.name, error)

    def close(self) -> None:
        """Closes them all."""
        for runner in self.runners:
            runner.close()

    def poll(self, now: int) -> None:
        """A turn for each; then the events that somebody has subscribed to."""
        for runner in self.runners:
            runner.poll(now)
        for at in range(len(self._engines)):
            event = self._events[at] or self._requests[at].event(now)
            if event:
                self._events[at] = b"" if self._engines[at].tell(event) else event

    def _block_us(self) -> int:
        """How long a block takes to be compared and written: twice what reading one does."""
        since = time.ticks_us()
        try:
            size = self._loads.probe()
        except OSError:
            return 0  # told when the store is opened
        return 2 * _us(since) if size else 0  # type: ignore[arg-type]

    def _frame_us(self, engine: "CanNode") -> int:
        """How long the CPU takes for a frame, from one that it need not keep."""
        data = bytes(8)
        since = time.ticks_us()
        for _ in range(_FRAMES):
            engine.frame(_UNWANTED, data, 0)
        return _us(since) * _BESIDES // _FRAMES  # type: ignore[arg-type]

    def _asked(self) -> Requests:
        board = self._board
        requests = Requests(self._loads, board.unique_id(), board.NAME, self._commands.perform)
        self._requests.append(requests)
        self._events.append(b"")
        return requests

    def _added(self, engine: "Any") -> "Any":
        self._engines.append(engine)
        return engine
