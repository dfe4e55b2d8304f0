# SPDX-License-Identifier: MIT
"""Runs the firmware of a board on an emulated STM32 until Ctrl-C.

The board's serial lines are ptys, which mpremote and hsxctl open as they open those of a board.
"""

import argparse
import contextlib
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from stm32.emulator import BUILD, HERE, LINES, flash_image, has_unicorn, machine, one_at_a_time

ROOT = HERE.parents[1]


def _flash_of(board: str) -> Path:
    """The board's flash, which keeps its files until the firmware is another."""
    firmware = ROOT / "build" / board / "firmware.elf"
    if not firmware.exists():
        raise FileNotFoundError(f"{firmware} is not built: make firmware BOARD={board}")
    with one_at_a_time(board):
        image, flash = BUILD / f"{board}.firmware", BUILD / f"{board}.flash"
        before = image.read_bytes() if image.exists() else b""
        flash_image(firmware, image)
        if not flash.exists() or image.read_bytes() != before:
            shutil.copy(image, flash)
    return flash


def _explain(board: str, ptys: dict[str, str]) -> None:
    repl, console, link = LINES[board]
    rows = [
        ("console", f"python -m serial.tools.miniterm {ptys[console]} 115200"),
        ("link", f"hsxctl nodes --uart {ptys[link]}"),
        ("CAN", f"hsxctl nodes --can slcan:{ptys['can']} --bitrate 500000"),
    ]
    if repl is not None:
        rows.insert(0, ("REPL", f"mpremote connect {ptys[repl]}"))
    print(f"{board} runs. What to type elsewhere:\n")
    for name, what in rows:
        print(f"  {name:8} {what}")
    if repl is None:
        print(f"  {'REPL':8} is on USB, which is not emulated")
    print(
        "\nHere: `card in FILE`, `card out`, `reset`, `power off`, `power on`; Ctrl-C ends it.\n"
    )
    sys.stdout.flush()


@contextlib.contextmanager
def started(
    board: str, card: Path | None, fram: Path | None, seed: int
) -> Iterator[tuple["subprocess.Popen[str]", dict[str, str]]]:
    """A machine that runs in real time, and the pty of each of its lines; none if it has ended."""
    settings = [f"flash={_flash_of(board)}", f"otp={BUILD / board}.otp", f"seed={seed}", "log=1"]
    settings += [f"card={card}"] if card else []
    settings += [f"fram={fram or BUILD / f'{board}.fram'}"]
    command = [str(machine()), board, "mode=live", *settings]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            lines = iter(process.stdout.readline, "")
            ptys = dict(line.split() for line in iter(lambda: next(lines, "ok\n"), "ok\n"))
            yield process, ptys
        finally:
            process.terminate()


def run(board: str, card: Path | None, fram: Path | None, seed: int) -> int:
    """Runs until Ctrl-C, or until the machine refuses something: its exit code."""
    with started(board, card, fram, seed) as (process, ptys):
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        if ptys:
            _explain(board, ptys)
        with contextlib.suppress(KeyboardInterrupt):
            assert process.stdout
            for line in process.stdout:
                print(line, end="", flush=True)
    return process.returncode


def main() -> int:
    """What `make emulate` runs."""
    parser = argparse.ArgumentParser(prog="make emulate", description=__doc__.splitlines()[0])
    parser.add_argument("board", help=f"BOARD=: {', '.join(LINES)}")
    parser.add_argument("--card", type=Path, metavar="FILE", help="SD=: image of the card in it")
    parser.add_argument(
        "--fram", type=Path, metavar="FILE", help="FRAM=: the FRAM, made if absent"
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="SEED=: of its unique id (%(default)s)"
    )
    options = parser.parse_args()
    if options.board not in LINES:
        parser.error(f"no such board: {options.board}; BOARD= is one of {', '.join(LINES)}")
    if not has_unicorn():
        parser.error("the emulator needs the Python package unicorn: pip install unicorn==2.1.4")
    if options.card and not options.card.is_file():
        parser.error(f"no such file: {options.card}")
    try:
        return run(options.board, options.card, options.fram, options.seed)
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    sys.exit(main())
