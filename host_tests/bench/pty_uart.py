# SPDX-License-Identifier: MIT
"""A pty with the node's end as a UART."""

import fcntl
import os
import termios
import tty


class PtyUart:
    """The node's end, a UART that never waits; `path` is the host's."""

    def __init__(self):
        self.handle, theirs = os.openpty()
        tty.setraw(theirs)
        self.path = os.ttyname(theirs)
        self._theirs = theirs
        os.set_blocking(self.handle, False)

    def any(self):
        waiting = fcntl.ioctl(self.handle, termios.FIONREAD, bytes(4))
        return int.from_bytes(waiting, "little")

    def readinto(self, buf, size=None):
        try:
            data = os.read(self.handle, len(buf) if size is None else size)
        except BlockingIOError:
            return None
        buf[: len(data)] = data
        return len(data)

    def write(self, buf):
        try:
            return os.write(self.handle, buf)
        except BlockingIOError:
            return None

    def deinit(self):
        """The host's end stays."""

    def close(self):
        os.close(self.handle)
        os.close(self._theirs)
