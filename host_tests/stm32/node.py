# SPDX-License-Identifier: MIT
"""A node: the firmware of a board on its emulated part, with what a person and a master do."""

import contextlib
import hashlib
import os
import pty
import re
import shutil
import subprocess
import sys
import time
import tty
from collections.abc import Callable
from pathlib import Path

from hsx.link.can_client import CanClient
from hsx.link.can_messages import short_id
from stm32.emulator import BUILD, HERE, LINES, MS, Machine, S, flash_image, one_at_a_time

ROOT = HERE.parents[1]

UNIQUE_ID = {
    "PYBV11": 0x1FFF_7A10,
    "NUCLEO_F446RE": 0x1FFF_7A10,
    "NUCLEO_G474RE": 0x1FFF_7590,
    "NUCLEO_H743ZI": 0x1FF1_E800,
}

# Boards with a filesystem in their flash. The first start makes it, which takes the H743 10 s of
# virtual time: it erases a sector of 128 KiB for each change of a file.
WITH_FILES = ("NUCLEO_H743ZI",)

NUMBER = 5


def built(board: str, make: Callable[[], object]) -> Path:
    """The flash image of the ELF file that `make` makes, with its filesystem if it has one."""
    with one_at_a_time(board):
        make()
        image = flash_image(ROOT / "build" / board / "firmware.elf", BUILD / f"{board}.bin")
        return _with_files(board, image) if board in WITH_FILES else image


def _with_files(board: str, image: Path) -> Path:
    digest = hashlib.sha256(image.read_bytes()).hexdigest()[:16]
    flash = BUILD / f"{board}-{digest}.flash"
    if not flash.exists():
        unfinished = flash.with_suffix(".unfinished")
        shutil.copy(image, unfinished)
        with Machine(board, flash=unfinished) as machine:
            machine.power(True)
            assert machine.until(LINES[board][1], b"state=over", 20 * S) == "text"
        unfinished.rename(flash)
    return flash


class Node:
    """A board with its firmware, in virtual time. `folder` holds what outlives it: its flash and
    its FRAM, and `settings` of the machine, such as card=PATH."""

    def __init__(self, board: str, image: Path, folder: Path, **settings: str | Path) -> None:
        flash = folder / "flash"
        if not flash.exists():
            flash.write_bytes(image.read_bytes())
        self.fram = folder / "fram"
        self.repl, self.console, self.link = LINES[board]
        self.unique_id = UNIQUE_ID[board]
        self.machine = Machine(board, flash=flash, fram=self.fram, **settings)
        self.master = CanClient()
        self._frame = bytearray(8)

    def close(self) -> None:
        """Ends it."""
        self.machine.close()

    def boot(self) -> str:
        """Switches the power on; gives the log up to the end of the boot."""
        self.machine.power(True)
        return self.booted()

    def booted(self) -> str:
        """Waits for the end of the boot."""
        assert self.machine.until(self.console, b"state=over") == "text"
        self.machine.run(10 * MS)
        return self.machine.take(self.console).decode()

    def type(self, code: str) -> str:
        """Types a line at the REPL; gives what it prints before the next prompt."""
        assert self.repl is not None, "the REPL of this board is on no line"
        self.machine.take(self.repl)
        self.machine.send(self.repl, b"\r\n" + code.encode() + b"\r\n")
        assert self.machine.until(self.repl, code.encode() + b"\r\n", S) == "text"
        self.machine.take(self.repl)
        assert self.machine.until(self.repl, b">>> ") == "text"
        return self.machine.take(self.repl).decode().removesuffix(">>> ").strip()

    def tool(self, line: str, *words: str, beside: Callable[[], None] | None = None) -> str:
        """Runs a program, such as hsxctl, whose word PORT becomes the pty of a line; gives what it
        prints. The machine runs meanwhile, at most as fast as real time; `beside` is called each
        millisecond of it."""
        ours, theirs = pty.openpty()
        tty.setraw(theirs)
        os.set_blocking(ours, False)
        command = [word.replace("PORT", os.ttyname(theirs)) for word in words]
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        start = time.monotonic() - self.machine.time_ps / 1e12
        waiting = b""  # for a program that does not read yet
        try:
            while process.poll() is None:
                with contextlib.suppress(BlockingIOError):
                    self.machine.send(line, os.read(ours, 4096))
                self.machine.run(MS)
                if beside is not None:
                    beside()
                waiting += self.machine.take(line)
                with contextlib.suppress(BlockingIOError):
                    waiting = waiting[os.write(ours, waiting) :]
                time.sleep(max(0, self.machine.time_ps / 1e12 + start - time.monotonic()))
        finally:
            process.kill()
            said = process.communicate()[0]
            os.close(ours)
            os.close(theirs)
        assert process.returncode == 0, said
        return said

    # The host on the CAN bus

    def frames(self, nanoseconds: int) -> list[tuple[int, bytes]]:
        """Runs, and gives the frames that the host has received meanwhile."""
        self.machine.run(nanoseconds)
        lines = re.findall(r"t(...)[0-8](\w*)\r", self.machine.take("can").decode())
        return [(int(ident, 16), bytes.fromhex(data)) for ident, data in lines]

    def send(self, ident: int, data: bytes) -> None:
        """Gives the host's adapter a frame."""
        self.machine.send("can", f"t{ident:03X}{len(data)}{data.hex().upper()}\r".encode())

    def on_the_bus(self) -> None:
        """The host opens its adapter's channel, and numbers the node."""
        self.machine.send("can", b"S6\rO\r")
        self.machine.run(MS)
        self.master.number(short_id(self.machine.read(self.unique_id, 12)), NUMBER)
        assert self.who()

    def talk(self, milliseconds: int, over: Callable[[], bool]) -> bool:
        """Drives the master until `over`, at most so long."""
        for _ in range(milliseconds):
            now = self.machine.time_ps // 1_000_000_000
            while (ident := self.master.next_frame(self._frame)) >= 0:
                self.send(ident, bytes(self._frame[: self.master.buf_len]))
            for frame in self.frames(MS):
                self.master.frame(*frame, now)
            self.master.poll(now)
            if over():
                return True
        return False

    def who(self, milliseconds: int = 50) -> bool:
        """Whether the node answers when the master asks once who is there."""
        self.master.present.clear()
        self.master.who()
        return self.talk(milliseconds, lambda: NUMBER in self.master.present)
