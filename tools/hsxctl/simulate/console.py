# SPDX-License-Identifier: MIT
"""The node's console: keeps all of it for programs, and shows it on a pty for people.

The emulator writes to a socket that is connected before the machine starts, so that no byte of
the boot log is lost. A thread keeps the bytes and copies them to a pty; what is typed there goes
to the node. A pty that nobody reads loses text and never holds the node up.
"""

import os
import select
import socket
import threading
import time
import tty

from ..errors import NO_NODE, ToolError

_CHUNK = 4096


class Console:
    """`link`: our end of the emulator's socket; belongs to this object from now on."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._log = bytearray()  # everything since start; grows by what the node prints
        self._read = 0  # how much of it `read` has handed out
        self._ended = False  # set once, when the emulator has closed its end
        self._changed = threading.Condition()
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.path = os.ttyname(self._slave)
        self._thread = threading.Thread(target=self._relay, name="console", daemon=True)
        self._thread.start()

    @property
    def log(self) -> bytes:
        """All bytes since the machine started."""
        with self._changed:
            return bytes(self._log)

    def read(self, timeout: float) -> bytes:
        """Bytes not yet read; waits up to `timeout` seconds for the first. b"" if none came."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or len(self._log) > self._read, timeout)
            data = bytes(self._log[self._read :])
            self._read = len(self._log)
            return data

    def wait(self, text: str, timeout: float) -> str:
        """Reads up to the end of the line that holds `text`, and returns what was read.

        Raises ToolError if `timeout` seconds pass or the node ends before.
        """
        wanted = text.encode()
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                found = self._log.find(wanted, self._read)
                end = self._log.find(b"\n", found + len(wanted)) if found >= 0 else -1
                if end >= 0:
                    data = bytes(self._log[self._read : end + 1])
                    self._read = end + 1
                    return data.decode(errors="replace")
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    seen = self._log[self._read :].decode(errors="replace")
                    raise ToolError(
                        f"the node did not say {text!r} within {timeout:g} s, but {seen!r}",
                        "console",
                        status=NO_NODE,
                    )
                self._changed.wait(left)

    def close(self) -> None:
        """Ends the relay; what was kept can still be read."""
        with self._changed:
            if self._link.fileno() >= 0 and not self._ended:
                self._link.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    def _relay(self) -> None:
        try:
            while True:
                ready, _, _ = select.select([self._link.fileno(), self._master], [], [])
                if self._master in ready:
                    self._link.sendall(os.read(self._master, _CHUNK))
                if self._link.fileno() in ready:
                    data = self._link.recv(_CHUNK)
                    if not data:
                        return
                    with self._changed:
                        self._log += data
                        self._changed.notify_all()
                    self._show(data)
        except OSError:
            return  # the emulator was killed in the middle of a call
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()
            self._link.close()
            os.close(self._master)
            os.close(self._slave)

    def _show(self, data: bytes) -> None:
        try:
            os.write(self._master, data)
        except BlockingIOError:
            return  # nobody reads the pty
