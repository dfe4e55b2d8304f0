# SPDX-License-Identifier: MIT
"""The node in MicroPython's unix port: one object is one process.

`boards/sim` says what the program finds there. The node's console is the process's stderr; what
a script prints is its stdout.
"""

import contextlib
import os
import select
import signal
import socket
import subprocess
from pathlib import Path

from ..errors import ToolError
from .process import die_with_parent

_CHUNK = 4096
_RUN = "import boot, hsx\ntry:\n    hsx.run()\nexcept KeyboardInterrupt:\n    pass\n"
_ATTEND = "import boot, board\ntry:\n    board.attend()\nexcept KeyboardInterrupt:\n    pass\n"


def command(
    program: str | Path,
    script: str,
    sd: str | Path | None = None,
    fram: str | Path | None = None,
) -> list[str]:
    """The command line that runs `script` with a card in the slot and a FRAM, which is made if it
    is missing; `import boot` in the script starts the node. Raises ToolError if program or card
    are missing."""
    if not Path(program).is_file():
        raise ToolError("no program", str(program), "Build it with 'make sim'.")
    line = [str(Path(program).resolve()), "-c", script]
    if sd is not None:
        if not Path(sd).is_file():
            raise ToolError("no SD card", str(sd), "Make one with 'hsxctl sdcard'.")
        line.append(f"sd={Path(sd).resolve()}")
    if fram is not None:
        line.append(f"fram={Path(fram).resolve()}")
    return line


class UnixNode:
    """Starts the node and lets it run; use it as a context manager, or call `close`.

    `program`: what 'make sim' builds. `sd`: a file that is the SD card, None for an empty slot.
    `fram`: a file that is the FRAM, made if missing; None for a node without one. `bus`: one end
    of a connected pair of sockets, over which it is an SLCAN adapter; closed here. The node ends
    when the other end is closed. `uid`, `number`: what it is called, and its number on the bus,
    127: none. `log`: a file that its console is written to, which then can't be read here. `asks`:
    without a set it asks the master of the bus for one. Raises ToolError if program or card are
    missing.
    """

    def __init__(
        self,
        program: str | Path,
        sd: str | Path | None = None,
        fram: str | Path | None = None,
        bus: socket.socket | None = None,
        uid: str = "sim",
        number: int = 127,
        log: Path | None = None,
        asks: bool = True,
    ) -> None:
        line = command(program, _RUN if bus is None else _ATTEND, sd, fram)
        line += [f"uid={uid}", f"node={number}"]
        if not asks:
            line.append("can=ignore")
        handles = []
        if bus is not None:
            bus.setblocking(False)  # as the node's UART
            handles.append(bus.fileno())
            line.append(f"bus={bus.fileno()}")
        with open(log, "ab") if log else contextlib.nullcontext(subprocess.PIPE) as console:
            self._process = subprocess.Popen(
                line,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=console,
                # Ctrl-C in a terminal is ours to pass on, once.
                start_new_session=True,
                preexec_fn=die_with_parent,
                pass_fds=handles,
            )
        if bus is not None:
            bus.close()
        self._console = self._process.stderr

    def __enter__(self) -> "UnixNode":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def running(self) -> bool:
        """False after `close`, or when the node ended by itself."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of the node's process."""
        return self._process.pid

    def read_console(self, timeout: float) -> bytes:
        """Console bytes not yet read; waits up to `timeout` seconds for the first. b"" if none
        came, or at the node's end."""
        assert self._console is not None
        ready, _, _ = select.select([self._console], [], [], timeout)
        return os.read(self._console.fileno(), _CHUNK) if ready else b""

    def end(self, timeout: float = 5) -> bytes:
        """Ctrl-C: the node stops its apps in order. Returns the rest of its console."""
        if self.running:
            self._process.send_signal(signal.SIGINT)
        try:
            return self._process.communicate(timeout=timeout)[1]
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.communicate()[1]

    def close(self) -> None:
        """Ends the node at once. Calling it again does nothing."""
        if self.running:
            self._process.kill()
            self._process.wait()
        if self._console is not None:
            self._console.close()

    def wait(self, timeout: float) -> bool:
        """Waits up to `timeout` seconds for the node to end by itself; whether it did."""
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return False
        return True
