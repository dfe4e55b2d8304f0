# SPDX-License-Identifier: MIT
"""A UART joined to the engine of the link: bytes in, bytes out, and nothing decided."""

from micropython import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..contracts import Uart
    from ..link.uart_node import UartNode

_READ = const(128)  # bytes taken from the driver at once
_READS = const(16)  # in one poll
_WRITE = const(64)  # bytes written in one poll: some drivers return when the line has them
_CLOSED = const(1000)  # ms


class UartRunner:
    """`open_uart` makes the driver when the runner is opened: not the REPL's port, `timeout` 0,
    and a receive buffer of the engine's backlog."""

    name = "UART"

    def __init__(self, open_uart: "Callable[[], Uart]", engine: "UartNode") -> None:
        self.engine = engine
        self._open_uart = open_uart
        self._uart: "Uart | None" = None
        self._buf = bytearray(_READ)
        self._taken = 0  # bytes, modulo 2**29

    def open(self) -> None:
        """Takes the port. The driver's errors pass."""
        if self._uart is None:
            self._uart = self._open_uart()

    def close(self) -> None:
        """Gives the port back; a session that runs is for the engine's own time-out to end."""
        if self._uart is not None:
            self._uart.deinit()
            self._uart = None

    def poll(self, now: int) -> int:
        """Hands on what has arrived, and writes what is owed; returns ms until it wants to be
        called again, 0 while bytes come or wait. Allocates nothing while DATA comes."""
        if self._uart is None:
            return _CLOSED
        busy = self._take(self._uart, now)
        wait = self.engine.poll(now)
        if self._flush(self._uart) or busy:
            return 0
        return wait

    def _take(self, uart: "Uart", now: int) -> bool:
        """Whether anything had come. `readinto` of no more than has come does not wait: a driver
        that waits for the next byte lets a Ctrl-C out of a poll (STM32's `uart_rx_wait`)."""
        left = _READS
        size = min(_READ, uart.any())
        while size and left:
            size = uart.readinto(self._buf, size) or 0
            self._taken = (self._taken + size) & 0x1FFFFFFF
            self.engine.receive(self._buf, size, now)
            left -= 1
            size = min(_READ, uart.any())
        return left < _READS

    def _flush(self, uart: "Uart") -> bool:
        """Whether something still waits to go out."""
        room = _WRITE
        out = self.engine.output()
        while out is not None and room > 0:
            sent = uart.write(out if len(out) <= room else out[:room])
            if not sent:
                return True
            self.engine.sent(sent)
            room -= sent
            out = self.engine.output()
        return out is not None

    def stats(self) -> "dict[str, int]":
        """Bytes received, frames, and what was no frame, since the engine was made."""
        deframer = self.engine.deframer
        return {
            "received": self._taken,
            "frames": deframer.frames,
            "broken": deframer.broken,
        }
