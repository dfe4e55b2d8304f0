# SPDX-License-Identifier: MIT
"""The node behind a MicroPython REPL, through mpremote's own transport.

As with `mpremote resume` nothing is reset, and the apps go on: what a host asks is code that the
REPL runs between their turns (`hsx.boot.repl_link`).
"""

import base64
import contextlib
import io
import re
import struct

import serial
from mpremote.transport import TransportError, TransportExecError
from mpremote.transport_serial import SerialTransport

from hsx.errors import EBADMSG, EIO
from hsx.link.can_framing import BLOCK_SIZE
from hsx.link.host_messages import pack_request, unpack_reply

from .. import clock
from ..errors import NO_NODE, ToolError
from . import Plan, Progress
from .serial import BAUD

_PATIENCE = 5.0  # seconds for one character
_VERIFY = 120.0  # seconds that a node may verify
_CHUNK = 512  # bytes of a set in one call: what a node's heap has in one piece
_PAUSE = 0.05  # seconds between looks for events
_SAID = re.compile(rb"<hsx (.*?)>")
_LOST = (TransportError, serial.SerialException, OSError, struct.error)


class ReplNodes:
    """`Nodes` of one node. ToolError: no port, no REPL on it, or no node behind it. `network`: the
    node's own."""

    def __init__(self, url: str, baud: int = BAUD) -> None:
        self.place = url
        try:
            self._transport = SerialTransport(url, baud, timeout=clock.patient(_PATIENCE))
        except (TransportError, serial.SerialException, ValueError) as error:
            raise ToolError(
                f"cannot open the port: {error}",
                url,
                "Check its name, the cable, and whether another program has it.",
                NO_NODE,
            ) from None
        try:
            self._enter()
            self._run("import hsx\n_hsx=hsx.runtime().links.repl()")
            self.network = int(self._value("hsx.runtime().service.policy.network"))
        except BaseException:
            self._leave()
            raise

    def present(self) -> list[int]:
        """As Nodes.present."""
        return [unpack_reply(self.ask(0, pack_request("hello"))).require().values["node"]]

    def ask(self, node: int, message: bytes) -> bytes:
        """As Nodes.ask."""
        return bytes.fromhex(self._value(f"_hsx.ask({message!r})"))

    def events(self, node: int, seconds: float) -> list[bytes]:
        """As Nodes.events."""
        end = clock.monotonic() + seconds
        found: list[bytes] = []
        while True:
            event = bytes.fromhex(self._value("_hsx.event()"))
            if event:
                found.append(event)
            elif clock.monotonic() >= end:
                return found
            else:
                clock.sleep(_PAUSE)

    def push(
        self,
        nodes: list[int],
        header: bytes,
        stream: bytes,
        digest: bytes,
        progress: Progress,
        plan: Plan | None = None,
    ) -> dict[int, int]:
        """As Nodes.push."""
        (node,) = nodes
        try:
            errno = self._sent(node, header, stream, progress, plan)
        except KeyboardInterrupt:
            self._enter()
            self._run("_hsx.abort()")
            raise
        if errno == 0 and self._value("_hsx.digest()") != digest.hex():
            errno = EBADMSG
        return {node: errno}

    def close(self) -> None:
        """As Nodes.close."""
        with contextlib.suppress(ToolError):
            self._enter()
            self._run("_hsx.abort();hsx.runtime().links.runners.remove(_hsx);del _hsx")
        self._leave()

    # ---- inside ----

    def _sent(
        self, node: int, header: bytes, stream: bytes, progress: Progress, plan: Plan | None
    ) -> int:
        """Sends all that the node does not hold: errno."""
        there = int(self._value(f"_hsx.begin({_text(header)},{len(stream)})"))
        at = max(there, 0)
        progress(node, at, len(stream))
        while there >= 0 and at < len(stream):
            piece = stream[at : at + _CHUNK]
            if (
                _is_held(plan, at, len(piece))
                and self._value(f"_hsx.holds({at},{len(piece)})") == "True"
            ):
                there = 0
            else:
                there = int(self._value(f"_hsx.write({at},{_text(piece)})"))
            at += len(piece)
            progress(node, at, len(stream))
        if there >= 0:
            there = int(self._value("_hsx.end()"))
        end = clock.monotonic() + _VERIFY
        left = 1 if there >= 0 else there
        while left > 0:
            left = int(self._value("_hsx.finish()"))
            if clock.monotonic() > end:
                left = -EIO
        return -left

    def _value(self, expression: str) -> str:
        said = _SAID.findall(self._run(f"print('<hsx %s>'%({expression},))"))
        if not said:
            raise self._lost("the REPL's answer is cut")
        return said[-1].decode()

    def _run(self, code: str) -> bytes:
        try:
            return self._transport.exec(code)
        except TransportExecError as error:
            last = str(error.error_output).strip().splitlines()[-1]
            raise ToolError(
                f"the node says: {last}",
                self.place,
                "Is an HSX node here, and of this version? Its boot log tells what went wrong.",
                NO_NODE,
            ) from None
        except _LOST as error:
            raise self._lost(str(error)) from None

    def _enter(self) -> None:
        """The raw REPL, whatever was going on there."""
        try:
            # It prints what it does not understand.
            with contextlib.redirect_stdout(io.StringIO()):
                self._transport.enter_raw_repl(
                    soft_reset=False, timeout_overall=clock.patient(_PATIENCE)
                )
        except _LOST as error:
            raise self._lost(str(error)) from None

    def _leave(self) -> None:
        with contextlib.suppress(*_LOST):
            self._transport.exit_raw_repl()
        with contextlib.suppress(*_LOST):
            self._transport.close()

    def _lost(self, why: str) -> ToolError:
        return ToolError(
            f"no REPL answers: {why}",
            self.place,
            "Check that this is the REPL's port and the baud rate, and push again: it goes on.",
            NO_NODE,
        )


def _is_held(plan: Plan | None, at: int, size: int) -> bool:
    """Whether a node should have these bytes already."""
    return plan is not None and not any(
        block in plan for block in range(at // BLOCK_SIZE, (at + size - 1) // BLOCK_SIZE + 1)
    )


def _text(data: bytes) -> str:
    """Data as a literal that no node keeps for ever: long strings are not interned."""
    return repr(base64.b64encode(data))
