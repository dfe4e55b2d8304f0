# SPDX-License-Identifier: MIT
"""The node's links: engines for what the board has, and the turns that they get."""

from micropython import const

from .. import ticks
from ..errors import EIO, HsxError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..contracts import Board, Runner
    from ..link.can_node import CanNode
    from ..link.uart_node import UartNode
    from ..service.loads import Loads
    from ..service.requests import Requests
    from ..service.signed_commands import SignedCommands
    from ..service.transfer import Transfer
    from .repl_link import ReplLink


_GAP = const(15000)  # us between two polls, a stall included
_BURST = const(4)  # frames that a master that keeps a pace sends at once
_FRAMES = const(64)  # of a block
_BITS = const(111)  # of a DATA frame with the space behind it, at least
_UNWANTED = const(0x700)  # DATA of no session
_WHOLE = const(2)  # times an unwanted frame: interrupt, engine, CRC and the way to the medium
_BLOCKS = const(4)  # that are read to know how long it takes, by a clock of milliseconds
_AGAIN = const(10_000)  # ms until a link that could not be opened is tried again
_TRIED = const(512)  # frames, likewise


def pace(block_us: int, frame_us: int, frames: int, bitrate: int) -> "tuple[int, str]":
    """DATA frames in a second that a node takes without losing any, and which of bus, CPU and FRAM
    sets that. While it writes a block, `block_us`, and until it looks again, they wait in a ring
    of `frames`; and the 64 of a block, `frame_us` each, and its writing take three quarters of the
    time in which the next 64 come: the apps have the rest."""
    room = (frames - _BURST) * 1_000_000 // (block_us + _GAP)
    kept = min(room, _FRAMES * 750_000 // (block_us + _FRAMES * frame_us + 1))
    most = bitrate // _BITS
    if kept >= most:
        return most, "bus"
    return kept, "FRAM" if block_us > _FRAMES * frame_us else "CPU"


def _refusal(runner: "Runner") -> "OSError | None":
    """Opens it. Why it does not open: the driver's error, EIO for one that has only a text."""
    try:
        runner.open()
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and isinstance(error.errno, int):
            return error
        return HsxError(EIO, "boot", str(error))
    return None


class Links:
    """Made once, at boot: `board.links(self)` asks for engines and gives the runners, none of
    which is opened yet. A link that cannot be opened is told, and tried again every ten seconds: a
    bus that is held down may be free by then. The others go on."""

    def __init__(self, board: "Board", loads: "Loads") -> None:
        self._board = board
        self._loads = loads
        self._commands: "SignedCommands | None" = None  # with the first link
        self._engines: "list[Any]" = []
        self._buses: "list[CanNode]" = []  # those of CAN
        self._requests: "list[Requests]" = []
        self._events: "list[bytes]" = []  # one a link that waits to be sent
        # Of each CAN link: name, frames in a second, and what sets them, as pace().
        self.paces: "list[tuple[str, int, str]]" = []
        self.runners: "list[Runner]" = board.links(self)
        self._shut: "list[Runner]" = []  # could not be opened
        self._tried = 0  # tick of the last attempt

    def uart(self, name: str, chunk: int = 1024, backlog: int = 1048) -> "UartNode":
        """The engine of a UART; `name` is the source that `ps` shows. The rest as UartNode."""
        from ..link.uart_node import UartNode

        return self._added(UartNode(self._transfer(), self._asked(), name, chunk, backlog))

    def can(self, name: str, frames: int = 72, bitrate: int = 500_000) -> "CanNode":
        """The engine of a CAN bus; `name` as CanNode. `frames`: what the runner holds between two
        polls. By that, the bit rate, and the speed of CPU and medium, which are measured here, the
        node knows its pace."""
        from ..link.can_node import CanNode

        number = self._loads.policy.number
        uid = self._board.unique_id()
        engine = CanNode(self._transfer(), number, self._asked(), uid, source=name)
        kept, by = pace(self._block_us(), self._frame_us(engine), frames, bitrate)
        if by != "bus":
            engine.pace = kept
        self._buses.append(engine)
        self.paces.append((name % number, kept, by))
        return self._added(engine)

    def repl(self) -> "ReplLink":
        """A link for who is at the REPL, in the place of the one before."""
        from .repl_link import ReplLink

        for runner in list(self.runners):
            if runner.name == ReplLink.name:
                runner.close()
                self.runners.remove(runner)
        link = ReplLink(self._board, self._loads)
        self.runners.append(link)
        return link

    def open(self) -> None:
        """Opens them all."""
        for runner in list(self.runners):
            error = _refusal(runner)
            if error:
                self.runners.remove(runner)
                self._shut.append(runner)
                self._loads.events.warn(runner.name, error)
        self._tried = self._loads.clock()

    def close(self) -> None:
        """Closes them all."""
        for runner in self.runners:
            runner.close()

    def unique_id(self) -> bytes:
        """What tells the node from all others."""
        return self._board.unique_id()

    def can_ask(self) -> bool:
        """Whether the node is a station of a CAN bus, with a number."""
        return bool(self._stations())

    def is_busy(self) -> bool:
        """Whether a transfer over CAN is under way. Allocates nothing."""
        for bus in self._buses:  # noqa: SIM110  any() would allocate a generator
            if bus.is_busy():
                return True
        return False

    def ask(self, message: bytes) -> None:
        """Sends the masters of all buses a message that they did not ask for."""
        for engine in self._stations():
            engine.tell(message)

    def poll(self, now: int) -> None:
        """A turn for each; then the events that somebody has subscribed to."""
        if self._shut and ticks.diff(now, self._tried) >= _AGAIN:
            self._try_again(now)
        for runner in self.runners:
            runner.poll(now)
        for at in range(len(self._engines)):
            event = self._events[at] or self._requests[at].event(now)
            if event:
                self._events[at] = b"" if self._engines[at].tell(event) else event

    def _try_again(self, now: int) -> None:
        """One of those that could not be opened."""
        self._tried = now
        runner = self._shut.pop(0)
        (self._shut if _refusal(runner) else self.runners).append(runner)

    def _stations(self) -> "list[CanNode]":
        return [engine for engine in self._buses if engine.number != 127]

    def _block_us(self) -> int:
        """How long a block takes to be compared and written: twice what reading one does."""
        loads = self._loads
        since = loads.clock()
        try:
            for _ in range(_BLOCKS):
                if not loads.probe():
                    return 0
        except OSError:
            return 0  # told when the store is opened
        return ticks.diff(loads.clock(), since) * 2000 // _BLOCKS

    def _frame_us(self, engine: "CanNode") -> int:
        """How long the CPU takes for a frame, from one that it need not keep."""
        data = bytes(8)
        since = self._loads.clock()
        for _ in range(_TRIED):
            engine.frame(_UNWANTED, data, 0)
        return ticks.diff(self._loads.clock(), since) * 1000 * _WHOLE // _TRIED

    def _signed(self) -> "SignedCommands":
        # Here, as below, because a board without a link does not pay for their RAM.
        from ..service.signed_commands import SignedCommands

        if self._commands is None:
            self._commands = SignedCommands(self._loads)
        return self._commands

    def _transfer(self) -> "Transfer":
        from ..service.transfer import Transfer

        return Transfer(self._loads, self._signed())

    def _asked(self) -> "Requests":
        from ..service.requests import Requests

        board = self._board
        perform = self._signed().perform
        requests = Requests(self._loads, board.unique_id(), board.NAME, perform)
        self._requests.append(requests)
        self._events.append(b"")
        return requests

    def _added(self, engine: "Any") -> "Any":
        self._engines.append(engine)
        return engine
