# SPDX-License-Identifier: MIT
"""One powered machine and its raw REPL, quick enough for a thousand of them."""

import re
import socket
from pathlib import Path
from typing import Any

from hsxctl.simulate.qemu import QemuNode
from waiting import PATIENCE

_ICOUNT = 6  # 64 ns an instruction


class Off(Exception):
    """The machine has no power any more."""


class Machine:
    """`firmware`: the ELF file; `fram`: the file of the FRAM; `sd`: the file of the card, None for
    none; `icount` and `more` go on to QemuNode. A context manager; when it is left, the power is
    cut. Raises ToolError if the machine does not start, Off as soon as its power is gone."""

    def __init__(
        self,
        firmware: Path,
        fram: Path | None,
        sd: Path | None = None,
        icount: int | None = _ICOUNT,
        **more: Any,
    ) -> None:
        self._line, theirs = socket.socketpair()
        self._line.settimeout(PATIENCE)
        self._seen = b""
        self._window = 0  # bytes that the node still takes of what is pasted
        self.node = QemuNode(firmware, sd, fram, icount, theirs, **more)

    def __enter__(self) -> "Machine":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        """Cuts the power by SIGKILL."""
        self.node.kill()
        self._line.close()

    def enter(self) -> None:
        """The raw REPL, as soon as there is one."""
        self._send(b"\r\x01")
        self._until(b"raw REPL; CTRL-B to exit\r\n>")

    def soft_reset(self) -> None:
        """As Ctrl-D does it: a new life of Python, and the raw REPL again."""
        self._send(b"\x04")
        self._until(b"soft reboot\r\n")
        self._until(b"raw REPL; CTRL-B to exit\r\n>")

    def run(self, code: str) -> str:
        """What the code prints. Raises RuntimeError with what it raises."""
        self.begin(code)
        text, error = self.end()
        if error:
            raise RuntimeError(error)
        return text

    def begin(self, code: str) -> None:
        """Starts code, which need not end."""
        self._send(b"\x05A\x01")
        self._until(b"R\x01")
        self._window = step = int.from_bytes(self._exactly(2), "little")
        data = code.encode()
        while data:
            while self._window <= 0 or self._seen:
                if self._exactly(1) != b"\x01":
                    raise RuntimeError("the node does not take the code")
                self._window += step
            self._send(data[: self._window])
            data, self._window = data[self._window :], self._window - len(data[: self._window])
        self._send(b"\x04")
        self._until(b"\x04")  # behind it come more windows, if any were owed, and then the output

    def await_line(self, text: str) -> None:
        """Waits until the code has printed this line."""
        self._until(text.encode() + b"\r\n")

    def end(self) -> tuple[str, str]:
        """What the code that was begun has printed and, apart, what it raised."""
        text = self._until(b"\x04")[:-1]
        error = self._until(b"\x04>")[:-2]
        return text.decode().replace("\r\n", "\n").strip("\n"), _last_line(error.decode())

    def _send(self, data: bytes) -> None:
        try:
            self._line.sendall(data)
        except ConnectionError:
            raise Off from None

    def _more(self) -> None:
        try:
            data = self._line.recv(4096)
        except ConnectionError:
            data = b""
        if not data:
            raise Off
        self._seen += data

    def _until(self, text: bytes) -> bytes:
        while text not in self._seen:
            self._more()
        end = self._seen.index(text) + len(text)
        said, self._seen = self._seen[:end], self._seen[end:]
        return said

    def _exactly(self, count: int) -> bytes:
        while len(self._seen) < count:
            self._more()
        said, self._seen = self._seen[:count], self._seen[count:]
        return said


def _last_line(error: str) -> str:
    lines = re.split(r"[\r\n]+", error.strip())
    return lines[-1]
