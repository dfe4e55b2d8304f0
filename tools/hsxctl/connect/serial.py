# SPDX-License-Identifier: MIT
"""A node on a serial line: any port or URL that pyserial knows."""

import secrets
from collections.abc import Callable

import serial

from hsx.errors import ETIMEDOUT, HsxError
from hsx.link.uart_master import IDLE, Question, UartMaster

from .. import clock
from ..errors import NO_NODE, ToolError

BAUD = 115200
_BITS = 10  # of a byte
_READ = 0.02  # seconds that one read waits at most
_PATIENCE = 5.0  # seconds for an answer to a question
_REPEAT = 250  # ms, of UartMaster

# Bytes that the node has, bytes in all; called when the first has changed.
Progress = Callable[[int, int], None]


class SerialLink:
    """An open line; use it as a context manager. `chunk`, `window`: as UartMaster's. Raises
    ToolError where the port cannot be opened, and from all calls where it is lost."""

    def __init__(self, url: str, baud: int = BAUD, chunk: int = 1024, window: int = 8) -> None:
        self._url = url
        try:
            self._port = serial.serial_for_url(url, baudrate=baud, timeout=_READ, write_timeout=5)
        except (OSError, ValueError) as error:
            raise ToolError(
                f"cannot open the port: {error}",
                url,
                "Check its name, the cable, and whether another program has it.",
                NO_NODE,
            ) from error
        self._engine = UartMaster(
            lambda: secrets.randbelow(1 << 16),
            chunk,
            window,
            rate=baud // _BITS,
            patience=int(clock.patient(_REPEAT)),
        )

    def __enter__(self) -> "SerialLink":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Gives the port back. Calling it again does nothing."""
        self._port.close()

    def hello(self, timeout: float | None = None) -> dict[str, int]:
        """What the node says of itself: version, chunk, window, message (bytes of the longest
        request), phase. Call it before the first request. ToolError: nobody answers."""
        self._ask(self._engine.hello(), timeout)
        assert self._engine.limits is not None
        return self._engine.limits

    def request(self, message: bytes, timeout: float | None = None) -> bytes:
        """The reply to a message of the node protocol. ToolError: nobody answers."""
        reply = self._ask(self._engine.request(message), timeout)
        assert reply is not None
        return reply

    def events(self, seconds: float = 0.0) -> list[bytes]:
        """Events that have come and were not fetched yet; listens for so long."""
        end = clock.monotonic() + seconds
        self._step()
        while clock.monotonic() < end:
            self._step()
        found = list(self._engine.events)
        self._engine.events.clear()
        return found

    def push(self, header: bytes, data: bytes, progress: Progress | None = None) -> bytes:
        """Sends `data` with its signed header; returns the first 4 bytes of the digest that the
        node read back. HsxError: the node refused it, or the time-out of a node that was there.
        ToolError: no node. On Ctrl-C the session is aborted on the node, then KeyboardInterrupt
        goes on; a second one leaves at once."""
        engine = self._engine
        engine.begin(header, data)
        told = -1
        try:
            while engine.phase != IDLE:
                self._step()
                # Before it has said where it stands, nothing is known.
                if progress is not None and engine.chunk and engine.placed != told:
                    told = engine.placed
                    progress(told, engine.total)
        except KeyboardInterrupt:
            engine.abort()
            while engine.phase != IDLE:
                self._step()
            raise
        if engine.outcome == "done":
            return engine.digest
        if engine.errno == ETIMEDOUT and not engine.chunk:
            raise self._silent()
        raise HsxError(engine.errno, "write" if engine.placed else "begin", "the node ended it")

    def _ask(self, question: Question, timeout: float | None) -> bytes | None:
        end = clock.monotonic() + (clock.patient(_PATIENCE) if timeout is None else timeout)
        while not question.over() and clock.monotonic() < end:
            self._step()
        if question.reply is None:
            raise self._silent()
        return question.reply

    def _step(self) -> None:
        """Sends a frame if there is one, and takes what has come."""
        try:
            frame = self._engine.output(clock.tick())
            if frame:
                self._port.write(frame)
            waiting = self._port.in_waiting
            if not waiting and not frame:
                data = self._port.read(1)  # waits a little
                data += self._port.read(self._port.in_waiting)
            else:
                data = self._port.read(waiting)
        except (OSError, serial.SerialException) as error:
            raise ToolError(
                f"the line is lost: {error}",
                self._url,
                "Plug it in and try again: a node that stages goes on where it was.",
                NO_NODE,
            ) from error
        if data:
            self._engine.receive(data, clock.tick())
        self._engine.poll(clock.tick())

    def _silent(self) -> ToolError:
        return ToolError(
            "no node answers",
            self._url,
            "Check that this is the node's link and not its REPL, and the baud rate.",
            NO_NODE,
        )
