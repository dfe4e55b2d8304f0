# SPDX-License-Identifier: MIT
"""The REPL of a node, as `mpremote` speaks to it."""

import time

from mpremote.transport_serial import SerialTransport

from waiting import PATIENCE

_BEGUN = "begun"


class Repl:
    """The raw REPL of a node, through mpremote's own transport. Does not reset it."""

    def __init__(self, node):
        self.transport = SerialTransport(node.repl, timeout=PATIENCE)
        self.transport.enter_raw_repl(soft_reset=False)

    def run(self, code):
        """What `code` prints, without the last line end; raises if it raises."""
        return self.transport.exec(code).decode().replace("\r\n", "\n").rstrip("\n")

    def begin(self, code):
        """Starts `code`, which need not end, and waits until it runs: while code is still being
        compiled, Ctrl-C is a character like any other."""
        self.transport.exec_raw_no_follow(f"print({_BEGUN!r})\n{code}")
        assert self.transport.read_until(1, f"{_BEGUN}\r\n".encode()).endswith(b"\n")

    def end(self):
        """What the code that was begun has printed and, apart, what it raised."""
        text, error = self.transport.follow(timeout=PATIENCE)
        return text.decode(), error.decode()

    def wait(self, seconds):
        """Lets the node work; a moment that the test chose, not a state to wait for."""
        time.sleep(seconds)

    def interrupt(self):
        """Ctrl-C."""
        self.transport.serial.write(b"\x03")

    def soft_reset(self):
        """As `mpremote` does it: raw REPL, Ctrl-D, raw REPL of the next life."""
        self.transport.enter_raw_repl(soft_reset=True)

    def enter(self):
        """Raw REPL anew, after a reset of the machine."""
        self.transport.enter_raw_repl(soft_reset=False)

    def await_prompt(self):
        """The prompt of the next life, after code that began a soft reset."""
        self.transport.read_until(1, b"raw REPL; CTRL-B to exit\r\n")

    def close(self):
        # Not the transport's close: it talks to the port, and the machine may be gone.
        self.transport.serial.close()
