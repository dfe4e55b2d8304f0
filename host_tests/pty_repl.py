# SPDX-License-Identifier: MIT
"""A raw REPL on a pty: what comes in is run in this process, as if it stood at a node's prompt.

It has what mpremote needs of MicroPython's, without raw paste. Ctrl-C ends nothing: the code of a
host is over in a moment.
"""

import contextlib
import io
import os
import pty
import select
import threading
import traceback
import tty

_BANNER = b"raw REPL; CTRL-B to exit\r\n>"


class PtyRepl(threading.Thread):
    """`lock` is held while code runs. Use it as a context manager; `path`: of the port."""

    def __init__(self, lock) -> None:
        super().__init__()
        self._lock = lock
        self._handle, self._theirs = pty.openpty()
        tty.setraw(self._theirs)
        self.path = os.ttyname(self._theirs)
        self.codes: list[str] = []  # what was run
        self._names: dict = {}
        self._over = False

    def __enter__(self) -> "PtyRepl":
        self.start()
        return self

    def __exit__(self, *_) -> None:
        self._over = True
        self.join()
        os.close(self._handle)
        os.close(self._theirs)

    def run(self) -> None:
        raw, code = False, b""
        while not self._over:
            if not select.select([self._handle], [], [], 0.02)[0]:
                continue
            for byte in os.read(self._handle, 4096):
                if byte == 1 and code == b"\x05A":
                    code = b""
                    self._write(b"R\x00")
                elif byte == 1:
                    raw, code = True, b""
                    self._write(_BANNER)
                elif byte in (2, 3):
                    raw, code = raw and byte == 3, b""
                elif byte == 4 and raw:
                    self._write(b"OK" + self._result(code.lstrip(b"\r").decode()) + b">")
                    code = b""
                else:
                    code += bytes((byte,))

    def _result(self, code: str) -> bytes:
        said, error = io.StringIO(), ""
        self.codes.append(code)
        with self._lock, contextlib.redirect_stdout(said):
            try:
                exec(code, self._names)
            except Exception:  # noqa: BLE001  it is told
                error = traceback.format_exc()
        return b"\x04".join(
            text.replace("\n", "\r\n").encode() for text in (said.getvalue(), error, "")
        )

    def _write(self, data: bytes) -> None:
        os.write(self._handle, data)
