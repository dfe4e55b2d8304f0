# SPDX-License-Identifier: MIT
"""Nodes on a CAN bus: any adapter that python-can knows, under the options that it has there.

What is not given comes from python-can's own configuration (`can.ini`, `CAN_INTERFACE`, ...).
"""

import contextlib
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from .. import clock
from ..errors import NO_NODE, ToolError

BITRATE = 500_000
_ROUND = 16  # frames sent before received ones are looked at
_WAIT = 0.02  # seconds that one look for a frame waits at most
_FULL = 0.002  # the same while the adapter takes no frame
_TAKE = 1.0  # seconds that the adapter has to take a frame before it is called full
_FRAME_BITS = 47  # of a frame without data, unstuffed, with the space behind it
_FAREWELL = 1.0  # seconds for what an engine has to say when it is given up


class Engine(Protocol):
    """A host's engine of `hsx.link`. One that has `sent(now)` is told of each frame that a
    bus of this bit rate has carried since the adapter took it."""

    buf_len: int

    def frame(self, ident: int, data: bytes, now: int, /) -> object: ...
    def poll(self, now: int, /) -> int: ...
    def next_frame(self, buf: bytearray, /) -> int: ...


class CanLink:
    """A host's station on a bus; use it as a context manager. `options`: further options of the
    interface, by python-can's names. `bitrate`: bits a second; where python-can knows it by itself
    frames are paced as at BITRATE. Raises ToolError where the adapter cannot be opened, and
    from `run` where it is lost; an adapter that takes no frame for now is waited for."""

    def __init__(
        self,
        interface: str | None = None,
        channel: str | None = None,
        bitrate: int | None = None,
        options: Mapping[str, str | int | float | bool] | None = None,
        base: int = 0x400,
    ) -> None:
        import can  # takes a while, and few commands need it

        given: dict[str, Any] = {"interface": interface, "channel": channel, "bitrate": bitrate}
        given.update(options or {})
        given = {name: value for name, value in given.items() if value is not None}
        filters = [{"can_id": base, "can_mask": 0x400, "extended": False}]
        self._place = ":".join(part for part in (interface, channel) if part) or "CAN"
        self._error = can.CanError
        self._message = can.Message
        try:
            self._bus: can.BusABC = can.Bus(can_filters=filters, **given)
        except (can.CanError, ImportError, OSError, TypeError, ValueError) as error:
            raise ToolError(
                f"cannot open the CAN interface: {error}",
                self._place,
                "Check interface, channel and bit rate, and whether another program has it.",
                NO_NODE,
            ) from error
        self._buf = bytearray(8)
        self._held: can.Message | None = None  # a frame that the adapter did not take
        self._bitrate = bitrate or BITRATE
        self._on_wire: deque[float] = deque()  # of frames that the adapter has: when they are out

    def __enter__(self) -> "CanLink":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leaves the bus. Calling it again does nothing."""
        with contextlib.suppress(self._error, OSError):
            self._bus.shutdown()

    def run(
        self,
        engine: Engine,
        over: Callable[[], bool],
        abort: Callable[[int], object] | None = None,
        step: Callable[[], object] | None = None,
    ) -> None:
        """Moves frames between the bus and `engine` until `over()`. `step()` is called in each
        round, for progress. On Ctrl-C `abort(now)` is called, what the engine has to say after it
        goes out within a second, and KeyboardInterrupt goes on; a second one leaves at once."""
        self._held = None
        self._on_wire.clear()
        try:
            while not over():
                self._round(engine)
                if step is not None:
                    step()
        except KeyboardInterrupt:
            if abort is not None:
                abort(clock.tick())
                end = clock.monotonic() + _FAREWELL
                while self._round(engine) and clock.monotonic() < end:
                    pass
            raise

    def _round(self, engine: Engine) -> bool:
        """Sends some frames and takes what has come; whether there may be more to send."""
        self._tell_sent(engine)
        wait = engine.poll(clock.tick()) / 1000
        busy = self._send(engine)
        if self._held is not None:
            wait = _FULL
        elif busy:
            wait = 0.0
        elif self._on_wire:
            wait = min(wait, max(0.0, self._on_wire[0] - clock.monotonic()))
        message = self._received(min(wait, _WAIT))
        while message is not None:
            if not (message.is_extended_id or message.is_remote_frame or message.is_fd):
                engine.frame(message.arbitration_id, bytes(message.data), clock.tick())
            message = self._received(0)
        return busy

    def _received(self, wait: float) -> Any:
        """The next frame (python-can's Message), or None if none comes within `wait` seconds.
        ToolError: the interface is lost."""
        try:
            return self._bus.recv(wait)
        except (IndexError, ValueError):
            return None  # a serial adapter's line has lost bytes: the frame is lost
        except (self._error, OSError) as error:
            raise ToolError(
                f"the CAN interface is lost: {error}",
                self._place,
                "Plug it in and try again: nodes that stage go on where they were.",
                NO_NODE,
            ) from error

    def _send(self, engine: Engine) -> bool:
        """Whether a frame was sent, or waits for the adapter to take it."""
        sent = getattr(engine, "sent", None)
        for count in range(_ROUND):
            message = self._held
            if message is None:
                ident = engine.next_frame(self._buf)
                if ident < 0:
                    return count > 0
                message = self._message(
                    arbitration_id=ident,
                    data=self._buf[: engine.buf_len],
                    is_extended_id=False,
                )
            try:
                self._bus.send(message, _TAKE)
            except (self._error, OSError):
                # A full buffer, or an adapter that is gone: then receiving says so.
                self._held = message
                return True
            self._held = None
            if sent is not None:
                self._on_wire.append(self._wire_time(engine.buf_len))
        return True

    def _wire_time(self, size: int) -> float:
        """When the frame that was just taken is through at the earliest: an adapter, or a bus that
        is a program, takes frames faster than a wire does."""
        begin = max(clock.monotonic(), self._on_wire[-1] if self._on_wire else 0.0)
        return begin + (_FRAME_BITS + 8 * size) / self._bitrate

    def _tell_sent(self, engine: Engine) -> None:
        sent = getattr(engine, "sent", None)
        while self._on_wire and self._on_wire[0] <= clock.monotonic():
            self._on_wire.popleft()
            if sent is not None:
                sent(clock.tick())
