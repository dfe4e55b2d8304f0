# SPDX-License-Identifier: MIT
"""A pty with the node's end as a UART."""

import os
import tty


class PtyUart:
    """The node's end, a UART that never waits; `path` is the host's."""

    def __init__(self):
        self.handle, theirs = os.openpty()
        tty.setraw(theirs)
        self.path = os.ttyname(theirs)
        self._theirs = theirs
        os.set_blocking(self.handle, False)

    def readinto(self, buf):
        try:
            data = os.read(self.handle, len(buf))
        except BlockingIOError:
            return None
        buf[: len(data)] = data
        return len(data)

    def write(self, buf):
        try:
            return os.write(self.handle, buf)
        except BlockingIOError:
            return None

    def close(self):
        os.close(self.handle)
        os.close(self._theirs)
