# SPDX-License-Identifier: MIT
"""The node's links: engines for what the board has, and the turns that they get."""

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

    def can(self, name: str, pace: int = 0) -> "CanNode":
        """The engine of a CAN bus; `name` and `pace` as CanNode."""
        from ..link.can_node import CanNode

        transfer = Transfer(self._loads, self._commands)
        policy = self._loads.policy
        uid = self._board.unique_id()
        return self._added(CanNode(transfer, policy.number, self._asked(), uid, pace, name))

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

    def unique_id(self) -> bytes:
        """What tells the node from all others."""
        return self._board.unique_id()

    def can_ask(self) -> bool:
        """Whether the node is a station of a CAN bus, with a number."""
        return any(getattr(engine, "number", 127) != 127 for engine in self._engines)

    def ask(self, message: bytes) -> None:
        """Sends the masters of all buses a message that they did not ask for."""
        for engine in self._engines:
            if getattr(engine, "number", 127) != 127:
                engine.tell(message)

    def poll(self, now: int) -> None:
        """A turn for each; then the events that somebody has subscribed to."""
        for runner in self.runners:
            runner.poll(now)
        for at in range(len(self._engines)):
            event = self._events[at] or self._requests[at].event(now)
            if event:
                self._events[at] = b"" if self._engines[at].tell(event) else event

    def _asked(self) -> Requests:
        board = self._board
        requests = Requests(self._loads, board.unique_id(), board.NAME, self._commands.perform)
        self._requests.append(requests)
        self._events.append(b"")
        return requests

    def _added(self, engine: "Any") -> "Any":
        self._engines.append(engine)
        return engine
