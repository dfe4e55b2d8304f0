# SPDX-License-Identifier: MIT
"""A host at the link of an emulated board, in virtual time: the engine that hsxctl has."""

import itertools
from collections.abc import Callable
from typing import Any

from hsx.link.host_messages import Reply, pack_request, read_list, unpack_reply
from hsx.link.uart_master import IDLE, UartMaster
from stm32.emulator import MS, Machine

_RATE = 11_520  # bytes a second, at 115,200 bit/s


class Off(Exception):
    """The machine has no power any more."""


class UartHost:
    """`line`: of the machine. `run(nanoseconds)`: how the machine runs, `Machine.run` by default.
    Raises Off as soon as the power is gone, and HsxError for what the node refuses."""

    def __init__(
        self, machine: Machine, line: str, run: Callable[[int], str] | None = None
    ) -> None:
        self._machine = machine
        self._line = line
        self._run = run or machine.run
        self._engine = UartMaster(itertools.count(1).__next__, rate=_RATE)
        self._ended(self._engine.hello())

    def ask(self, message: bytes) -> bytes:
        """The reply to a message."""
        return self._ended(self._engine.request(message))

    def request(self, name: str, *numbers: int, data: bytes = b"") -> Reply:
        """The reply to a request, which the node has not refused."""
        return unpack_reply(self.ask(pack_request(name, 0, *numbers, data=data))).require()

    def rows(self, name: str, *numbers: int) -> list[dict[str, Any]]:
        """All rows of a list."""
        return read_list(self.ask, name, *numbers)

    def push(self, header: bytes, data: bytes) -> None:
        """Sends a stream with its header. AssertionError: the node does not take it."""
        self._engine.begin(header, data)
        while self._engine.phase != IDLE:
            self.idle(1)
        assert self._engine.outcome == "done", f"{self._engine.outcome}: {self._engine.errno}"

    def idle(self, milliseconds: int) -> None:
        """Runs for so long."""
        for _ in range(milliseconds):
            now = self._machine.time_ps // 1_000_000_000
            frame = self._engine.output(now)
            if frame:
                self._machine.send(self._line, frame)
            if self._run(MS) == "cut":
                raise Off
            self._engine.receive(self._machine.take(self._line), now)
            self._engine.poll(now)

    def _ended(self, question: Any) -> bytes:
        while not question.over():
            self.idle(1)
        assert question.reply is not None, "the node does not answer"
        return bytes(question.reply)
