# SPDX-License-Identifier: MIT
"""The Cortex-M4 board in QEMU: one object is one powered machine.

`boards/qemu_m4` says what the firmware finds there. A hard power cut is `kill`: QEMU gets
SIGKILL, and the SD card and FRAM files are what the machine had written by then.
"""

import contextlib
import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from ..errors import NO_NODE, ToolError
from .console import Console

QEMU = "qemu-system-arm"
# I2C address and bytes of each; they lie one after the other in the file.
FRAM_DEVICES = ((0x50, 65536), (0x51, 65536))
FRAM_SIZE = sum(size for _, size in FRAM_DEVICES)

_PATIENCE = 240.0  # seconds for a line of the console: the emulator may share its core with others
_FRAM_BLANK = b"\xff"
_PTY_LINE = re.compile(r"char device redirected to (\S+) \(label (\w+)\)")
_PR_SET_PDEATHSIG = 1


class QemuNode:
    """Starts the machine; use it as a context manager, or call `close`.

    `firmware`: the ELF file. `sd`: a file that is the SD card, None for an empty slot. `fram`: a
    file of FRAM_SIZE bytes, made if missing, None for a board without FRAM. `icount`: virtual
    time by instructions, 2**icount ns each; None: real time. `link`: one end of a connected pair
    of sockets, the REPL's line instead of a pty: for programs that start many machines, as QEMU
    takes up to a second before it reads from a pty. `uart2`, `uart3`: the same for these UARTs.
    All are closed here. `uid`: what the machine calls itself, 1 to 8 letters and digits. `flash`:
    a file that is the flash file system, None for a board without one. `safe`: the switch for the
    safe mode is on. `off`: ticks of 40 ns from power-on at which the power fails, 0: it does not.

    `repl`, `console`, `uart2` (the link to a host), `uart3` (SLCAN) are pty paths, "" for a line
    that is a socket. Raises ToolError if the machine does not start.
    """

    def __init__(
        self,
        firmware: str | Path,
        sd: str | Path | None = None,
        fram: str | Path | None = None,
        icount: int | None = None,
        link: socket.socket | None = None,
        uart2: socket.socket | None = None,
        uart3: socket.socket | None = None,
        uid: str = "",
        flash: str | Path | None = None,
        safe: bool = False,
        off: int = 0,
    ) -> None:
        if shutil.which(QEMU) is None:
            raise ToolError(f"{QEMU} is not installed", remedy="Run 'make setup'.")
        if not Path(firmware).is_file():
            raise ToolError("no firmware", str(firmware), "Build it with 'make firmware'.")
        command = _machine(firmware, sd, fram, icount, uid, flash, safe, off)
        console, their_console = socket.socketpair()
        self._control, their_control = socket.socketpair()
        lines = {"repl": link, "console": their_console, "uart2": uart2, "uart3": uart3}
        sockets = [end for end in (*lines.values(), their_control) if end is not None]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  closed with the node
        self._process = subprocess.Popen(
            command + _ports(their_control, lines),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            pass_fds=[end.fileno() for end in sockets],
            preexec_fn=_die_with_parent,
        )
        for end in sockets:
            end.close()
        self._console = Console(console)
        self.console = self._console.path
        self._held: list[int] = []
        try:
            ports = self._read_ports(list(lines.values()).count(None))
            self.repl, self.uart2, self.uart3 = (
                ports.get(name, "") for name in ("repl", "uart2", "uart3")
            )
            self._await_start()
            # QEMU looks only once a second whether a closed pty was opened; this keeps them open.
            for path in ports.values():
                self._held.append(os.open(path, os.O_RDWR | os.O_NOCTTY))
        except BaseException:
            self.kill()
            raise

    def __enter__(self) -> "QemuNode":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def running(self) -> bool:
        """False after `close`, `kill`, or when the emulator ended by itself."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of the emulator's process."""
        return self._process.pid

    @property
    def console_log(self) -> bytes:
        """All of the console since the machine started."""
        return self._console.log

    def read_console(self, timeout: float) -> bytes:
        """Console bytes not yet read; waits up to `timeout` seconds for the first."""
        return self._console.read(timeout)

    def wait_console(self, text: str, timeout: float = _PATIENCE) -> str:
        """Reads up to the end of the line with `text`; ToolError if it does not come."""
        return self._console.wait(text, timeout)

    def wait_off(self, timeout: float) -> bool:
        """Waits up to `timeout` seconds for the machine to end by itself; whether it did."""
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """Cuts the power: nothing in the machine or the emulator gets to finish anything."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """Ends the emulator in order. Calling it again does nothing."""
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        if self.running:
            self._process.send_signal(number)
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._console.close()
        self._control.close()
        for handle in self._held:
            os.close(handle)
        self._held = []
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._errors.close()

    def _read_ports(self, count: int) -> dict[str, str]:
        ports: dict[str, str] = {}
        assert self._process.stdout is not None
        while len(ports) < count:
            line = self._process.stdout.readline()
            if not line:
                raise self._failed()
            match = _PTY_LINE.search(line)
            if match:
                ports[match[2]] = match[1]
        return ports

    def _await_start(self) -> None:
        """Ports are named before the machine is made: an answer to a question means it runs."""
        with contextlib.suppress(BrokenPipeError):
            self._control.sendall(b'{"execute": "qmp_capabilities"}{"execute": "query-status"}')
        said = b""
        while b'"status"' not in said:
            try:
                data = self._control.recv(4096)
            except ConnectionError:
                data = b""
            if not data:
                raise self._failed()
            said += data

    def _failed(self) -> ToolError:
        self._process.wait()
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip()
        return ToolError(
            f"the emulator ended with status {self._process.returncode}: {said}",
            QEMU,
            status=NO_NODE,
        )


def _machine(
    firmware: str | Path,
    sd: str | Path | None,
    fram: str | Path | None,
    icount: int | None,
    uid: str,
    flash: str | Path | None,
    safe: bool,
    off: int,
) -> list[str]:
    """The command line without its ports. Raises ToolError for files that do not fit."""
    command = [QEMU, "-M", "mps2-an386", "-display", "none", "-monitor", "none"]
    command += ["-kernel", str(firmware)]
    if icount is not None:
        command += ["-icount", f"shift={icount}"]
    if fram is not None:
        command += _fram_options(Path(fram))
    # Files come last, as the firmware expects them: their paths may contain spaces.
    semihosting = "enable=on,target=native,arg=hsx"
    if uid:
        semihosting += f",arg=uid={uid}"
    if off:
        semihosting += f",arg=off={off}"
    if safe:
        semihosting += ",arg=safe"
    if flash is not None:
        if not Path(flash).is_file():
            raise ToolError("no flash file", str(flash), "Make one with 'hsxctl sdcard'.")
        semihosting += f",arg=flash={_escaped(Path(flash))}"
    if sd is not None:
        if not Path(sd).is_file():
            raise ToolError("no SD card", str(sd), "Make one with 'hsxctl sdcard'.")
        semihosting += f",arg=sd={_escaped(Path(sd))}"
    return command + ["-semihosting-config", semihosting]


def _ports(control: socket.socket, lines: dict[str, socket.socket | None]) -> list[str]:
    """QEMU's own control port, and the UARTs from 0 on: sockets, or ptys where there is none."""
    options = ["-chardev", f"socket,id=control,fd={control.fileno()}"]
    options += ["-mon", "chardev=control,mode=control"]
    for name, end in lines.items():
        kind = "pty" if end is None else "socket"
        place = "" if end is None else f",fd={end.fileno()}"
        options += ["-chardev", f"{kind},id={name}{place}", "-serial", f"chardev:{name}"]
    return options


def _fram_options(path: Path) -> list[str]:
    """One file behind all devices, each on its own range of it."""
    if not path.exists():
        path.write_bytes(_FRAM_BLANK * FRAM_SIZE)
    if path.stat().st_size != FRAM_SIZE:
        raise ToolError(
            f"FRAM file has {path.stat().st_size} bytes, not {FRAM_SIZE}",
            str(path),
            "Give the right file, or delete it for a blank one.",
        )
    options = []
    offset = 0
    for address, size in FRAM_DEVICES:
        name = f"fram{address:x}"
        # Both open the same file: QEMU's own lock would refuse the second.
        options += [
            "-drive",
            f"if=none,id={name},format=raw,offset={offset},size={size},"
            f"file.driver=file,file.locking=off,file.filename={_escaped(path)}",
            "-device",
            f"at24c-eeprom,bus=i2c,address=0x{address:x},rom-size={size},drive={name}",
        ]
        offset += size
    return options


def _escaped(path: Path) -> str:
    """A path as QEMU's option parser reads it."""
    return str(path.resolve()).replace(",", ",,")


def _die_with_parent() -> None:
    """In the child: an emulator never outlives the program that started it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
