# SPDX-License-Identifier: MIT
"""Code on the board, through mpremote's transport: nothing is reset, apps go on."""

import ast
import contextlib
import io
import struct
import time
from collections.abc import Iterator
from typing import Any, Self

import serial
from mpremote.transport import TransportError
from mpremote.transport_serial import SerialTransport

from hsxctl import clock
from hsxctl.connect.serial import BAUD
from hsxctl.errors import NO_NODE, ToolError

from .report import Failed

LOST = (TransportError, serial.SerialException, OSError, struct.error)
_PATIENCE = 5.0  # seconds for an answer
_ENTER = 1.0  # seconds for the prompt, _TRIES times: a board that starts loses what comes
_TRIES = 5
_RETURN = 30.0  # seconds for a board that was reset
_BEFORE = 1.0  # seconds until a reset has come: a Ctrl-C would end the code that waits for it
_MARK = "before_the_reset"  # a name that a reset forgets

_NAMES = """
import board, gc, hsx, machine, os, sys, time
from hsx.boot import lock
"""


class Repl:
    """The raw REPL; a context manager. ToolError: no REPL answers."""

    def __init__(self, port: str) -> None:
        self._port = port

    def __enter__(self) -> Self:
        for tries_left in reversed(range(_TRIES)):
            try:
                self._enter()
                break
            except LOST as error:
                self.__exit__()
                if not tries_left:
                    raise ToolError(
                        f"no REPL answers: {error}",
                        self._port,
                        "Check the port, and whether another program has it.",
                        NO_NODE,
                    ) from None
        self.run(_NAMES)
        return self

    def _enter(self) -> None:
        self._transport = SerialTransport(self._port, BAUD, timeout=clock.patient(_ENTER))
        self._transport.serial.write_timeout = clock.patient(_PATIENCE)  # to a board that hangs
        # It prints what it does not understand.
        with contextlib.redirect_stdout(io.StringIO()):
            self._transport.enter_raw_repl(soft_reset=False, timeout_overall=clock.patient(_ENTER))
        self._transport.serial.timeout = clock.patient(_PATIENCE)

    def __exit__(self, *_: object) -> None:
        transport = getattr(self, "_transport", None)
        if transport is not None:
            with contextlib.suppress(*LOST):
                transport.exit_raw_repl()
            with contextlib.suppress(*LOST):
                transport.close()

    def run(self, code: str, seconds: float = 20) -> str:
        """What it prints. Failed: it raises, or does not end in time."""
        try:
            said = self._transport.exec_raw(code, timeout=clock.patient(seconds))
        except LOST as error:
            raise Failed(f"the REPL is lost: {error}") from None
        text, trouble = (part.decode(errors="replace").strip() for part in said)
        if trouble:
            raise Failed(f"the node says: {trouble.splitlines()[-1]}", "Send this report.")
        return text

    def value(self, expression: str, seconds: float = 20) -> Any:
        """The value of an expression: numbers, texts, lists, dicts."""
        said = self.run(f"print(repr({expression}))", seconds)
        try:
            return ast.literal_eval(said)
        except (SyntaxError, ValueError):
            raise Failed(f"the REPL's answer is damaged: {said}") from None

    def leave(self, code: str) -> None:
        """Starts code that does not end, as it resets the board: `returned` waits for that."""
        self.run(f"{_MARK} = True")
        with contextlib.suppress(*LOST):
            self._transport.exec_raw_no_follow(code)


@contextlib.contextmanager
def returned(port: str, seconds: float = _RETURN) -> Iterator[Repl]:
    """The REPL of a board that resets itself, as soon as it answers and the node has booted.
    Failed: it does not."""
    end = time.monotonic() + clock.patient(seconds)
    time.sleep(clock.patient(_BEFORE))
    while not _has_booted(port):
        if time.monotonic() > end:
            raise Failed(
                "the board does not come back after a reset",
                "Send the console's text with this report; power the board off and on.",
            )
        time.sleep(0.5)
    with Repl(port) as repl:
        yield repl


def _has_booted(port: str) -> bool:
    with contextlib.suppress(ToolError, Failed), Repl(port) as repl:
        return bool(repl.value(f"'{_MARK}' not in globals() and hsx.runtime().booted()"))
    return False
