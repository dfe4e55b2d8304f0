# SPDX-License-Identifier: MIT
"""The bench bus as an interface of python-can: `can.Bus(interface="hsx-bench", channel="29500")`.

`channel` is what `hsxctl sim --nodes` says: a port of this machine, or `host:port`. Time stamps
are seconds of the bus's time. A frame counts as sent when it has left the bus; the adapter holds
QUEUE of them, and `send` waits for room up to its time-out. There is no CAN FD; error frames are
neither sent nor received.
"""

import contextlib
import queue
import socket
import threading
from collections import deque
from typing import Any

import can

from . import slcan_line as slcan
from .can_bus import EXTENDED, REMOTE

QUEUE = 16  # frames
DEFAULT = "29500"

_CHUNK = 1 << 16
_STAMP = 12  # digits
_CONNECT = 5.0  # seconds
_FAREWELL = 1.0


class BenchBus(can.BusABC):
    """`receive_own_messages`: what this station has sent comes back to it. `listen_only`: it sends
    nothing. The bit rate is the bus's own: one that is given here is not looked at."""

    def __init__(
        self,
        channel: Any = DEFAULT,
        can_filters: Any = None,
        receive_own_messages: bool = False,
        listen_only: bool = False,
        **more: Any,
    ) -> None:
        host, _, port = str(channel).rpartition(":")
        self.channel_info = f"hsx-bench {channel}"
        self._can_protocol = can.CanProtocol.CAN_20
        self._own = receive_own_messages
        self._received: queue.SimpleQueue[can.Message | None] = queue.SimpleQueue()
        self._under_way: deque[can.Message] = deque()
        self._room = threading.Condition()
        self._is_lost = False
        try:
            address = (host or "127.0.0.1", int(port))
            self._link = socket.create_connection(address, _CONNECT)
        except (OSError, ValueError) as error:
            self._is_shutdown = True
            raise can.CanInitializationError(f"no bench bus at {channel}: {error}") from error
        self._link.settimeout(None)
        self._link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = threading.Thread(target=self._read, name="hsx-bench", daemon=True)
        self._opened = threading.Event()
        self._reader.start()
        self._link.sendall(b"Z2\r" + (b"L\r" if listen_only else b"O\r") + b"V\r")
        # It is on the bus from its answer on: what others send then is heard.
        if not self._opened.wait(_CONNECT) or self._is_lost:
            self._is_shutdown = True
            self._link.close()
            raise can.CanInitializationError(f"no bench bus at {channel}: it does not answer")
        super().__init__(channel=channel, can_filters=can_filters, **more)

    def send(self, msg: can.Message, timeout: float | None = None) -> None:
        """CanOperationError: no room within `timeout` seconds, an FD or error frame, or the bus is
        gone."""
        if msg.is_fd or msg.is_error_frame:
            raise can.CanOperationError("the bench bus carries classic data and remote frames")
        flags = (EXTENDED if msg.is_extended_id else 0) | (REMOTE if msg.is_remote_frame else 0)
        data = bytes(msg.dlc) if msg.is_remote_frame else bytes(msg.data)
        line = slcan.plain((msg.arbitration_id | flags, data))
        with self._room:
            self._room.wait_for(lambda: self._is_lost or len(self._under_way) < QUEUE, timeout)
            if self._is_lost:
                raise can.CanOperationError("the bench bus is gone")
            if len(self._under_way) >= QUEUE:
                raise can.CanTimeoutError("the bench bus has no room for a frame")
            self._under_way.append(msg)
            try:
                self._link.sendall(line)
            except OSError as error:
                raise can.CanOperationError("the bench bus is gone") from error

    def _recv_internal(self, timeout: float | None) -> tuple[can.Message | None, bool]:
        try:
            message = self._received.get(timeout != 0, timeout)
        except queue.Empty:
            return None, False
        if message is None:
            self._received.put(None)  # for whoever asks next
            raise can.CanOperationError("the bench bus is gone")
        return message, False

    def shutdown(self) -> None:
        """Leaves the bus when what is under way has gone out, within a second."""
        super().shutdown()
        with self._room:
            self._room.wait_for(lambda: self._is_lost or not self._under_way, _FAREWELL)
        with contextlib.suppress(OSError):  # it may have gone first
            self._link.shutdown(socket.SHUT_WR)
        self._reader.join(_CONNECT)
        self._link.close()

    def _read(self) -> None:
        rest = b""
        try:
            while data := self._link.recv(_CHUNK):
                *lines, rest = (rest + data.replace(slcan.BAD, slcan.BAD + b"\r")).split(b"\r")
                for line in lines:
                    self._take(line)
        except OSError:
            pass  # as an end
        with self._room:
            self._is_lost = True
            self._room.notify_all()
        self._opened.set()
        self._received.put(None)

    def _take(self, line: bytes) -> None:
        if line[:1] in (b"z", b"Z", slcan.BAD):
            with self._room:
                if not self._under_way:
                    return
                sent = self._under_way.popleft()
                self._room.notify_all()
            if self._own and line != slcan.BAD:
                own = sent.__copy__()
                own.timestamp = int(line[1:], 16) / 1e6
                own.is_rx = False
                self._received.put(own)
            return
        frame = slcan.frame(line[:-_STAMP])
        if frame is None:
            if line[:1] == b"V":
                self._opened.set()
            return
        ident, data = frame
        self._received.put(
            can.Message(
                timestamp=int(line[-_STAMP:], 16) / 1e6,
                arbitration_id=ident & ~(EXTENDED | REMOTE),
                is_extended_id=bool(ident & EXTENDED),
                is_remote_frame=bool(ident & REMOTE),
                dlc=len(data),
                data=b"" if ident & REMOTE else data,
                channel=self.channel_info,
            )
        )
