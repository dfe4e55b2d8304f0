# SPDX-License-Identifier: MIT
"""A CAN master on the node's SLCAN line, which is a socket: it waits to be asked for a set."""

import contextlib
import socket
import threading
import time

from hsx.errors import HsxError
from hsx.link.can_client import CanClient
from hsx.link.can_master import CanMaster
from hsx.link.host_messages import unpack_told
from hsx.ticks import wrap

_OPEN = 0.1  # seconds between two tries to open the adapter
_TURN = 0.002  # seconds
_DIES_AFTER = 60  # frames of a stream


class Master:
    """Sends `stream` behind `header` to who asks; one that `dies` stops amid the first. Ends with
    the line."""

    def __init__(
        self, line: socket.socket, header: bytes, stream: bytes, digest: bytes, dies: bool
    ):
        self._line = line
        self._line.settimeout(_TURN)
        self._what = (stream, header, digest)
        self._dies = dies
        self._client = CanClient()
        self._master: CanMaster | None = None
        self._text = b""
        self._heard = False  # a frame of the node
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        self._line.close()

    def _serve(self) -> None:
        opened = 0.0
        while not self._over.is_set():
            if not self._heard and time.monotonic() - opened > _OPEN:
                # The adapter may not be there yet: it opens once.
                opened = time.monotonic()
                with contextlib.suppress(OSError):
                    self._line.sendall(b"S6\rO\r")
            now = wrap(int(time.monotonic() * 1000))
            try:
                data = self._line.recv(4096)
            except TimeoutError:
                data = b""
            except OSError:
                return
            self._text += data
            *lines, self._text = self._text.split(b"\r")
            for line in lines:
                self._frame(line, now)
            engine = self._master or self._client
            engine.poll(now)
            try:
                self._send(engine, now)
            except OSError:
                return
            self._begin(now)

    def _frame(self, line: bytes, now: int) -> None:
        if line[:1] != b"t" or len(line) < 5:
            return
        self._heard = True
        ident, data = int(line[1:4], 16), bytes.fromhex(line[5:].decode()[: 2 * int(line[4:5])])
        self._client.frame(ident, data, now)
        if self._master is not None:
            self._master.frame(ident, data, now)

    def _send(self, engine: "CanClient | CanMaster", now: int) -> None:
        buf = bytearray(8)
        for _ in range(16):
            if self._master is not None and self._dies and self._master.frames > _DIES_AFTER:
                return
            if isinstance(engine, CanMaster) and not engine.room():
                return
            ident = engine.next_frame(buf)
            if ident < 0:
                return
            data = buf[: engine.buf_len].hex().upper()
            self._line.sendall(f"t{ident:03X}{engine.buf_len}{data}\r".encode())
            if isinstance(engine, CanMaster):
                engine.sent(now)

    def _begin(self, now: int) -> None:
        if self._master is not None and self._master.over:
            self._master = None
        while self._client.told:
            node, message = self._client.told.popleft()
            try:
                _, _, kind, _, data = unpack_told(message)
            except HsxError:
                continue
            if self._master is None and kind == "boot" and data.get("state") == "asking":
                stream, header, digest = self._what
                self._master = CanMaster(stream, header, [node], digest, 7, 0.0, now, patience=250)
