# SPDX-License-Identifier: MIT
"""`make demo`: builds apps with hsxctl, boots the Cortex-M4 firmware in QEMU from an SD card made
of them, lets a real mpremote ask what runs, then keeps the apps in FRAM and updates them through a
power cut and a bad update; at last it pushes apps into it over a UART and over CAN.

Exit code 0 if everything that should appear did; else 1, and what is missing is listed.
"""

import io
import os
import subprocess
import sys
import time
from pathlib import Path

from hsxctl.errors import ToolError

from . import card
from .screen import Screen
from .store import Story
from .wires import Wires

PROJECT = Path(__file__).resolve().parents[2]
FIRMWARE = Path("build/qemu_m4/firmware.elf")
BUILD = Path("build/demo")


def main() -> int:
    """Runs the demo; gives the exit code."""
    screen = Screen()
    evidence = card.Evidence()
    story = Story(screen, FIRMWARE, BUILD)
    wires = Wires(screen, FIRMWARE, BUILD)
    started = time.monotonic()
    try:
        screen.chapter("The firmware")
        _show_firmware(screen)
        screen.chapter("Four apps and an SD card")
        image = card.build_card(screen, BUILD)
        card.watch_node(FIRMWARE, image, screen, evidence, BUILD / "console.log")
        story.tell()
        wires.tell()
    except (ToolError, OSError, subprocess.CalledProcessError) as error:
        screen.say(f"demo failed: {error}", "bold red")
        return 1
    except KeyboardInterrupt:
        screen.say("demo interrupted; the node is ended", "bold red")
        return 130
    missing = evidence.missing() + story.missing + wires.missing
    screen.chapter("Did everything appear?")
    for what in missing:
        screen.say(f"missing: {what}", "bold red")
    if missing:
        screen.say(f"The first node's whole console is in {BUILD / 'console.log'}.")
        return 1
    before, after = evidence.tables
    for app in card.RUNNING:
        grown = after[app][1] - before[app][1]
        screen.say(f"{app}: PID {after[app][0]}, {grown} steps between the two questions")
    screen.say(
        "Yes: 3 apps ran, 1 damaged image was refused, an update went on after a power cut, a bad "
        "one was given back, two apps talked, and apps came in over a UART and over CAN, in "
        f"{time.monotonic() - started:.1f} s.",
        "bold green",
    )
    return 0


def _show_firmware(screen: Screen) -> None:
    if not FIRMWARE.is_file():
        raise ToolError("no firmware", str(FIRMWARE), "Build it with 'make firmware'.")
    sizes = subprocess.run(
        ["arm-none-eabi-size", FIRMWARE], capture_output=True, text=True, check=True
    )
    code, data = map(int, sizes.stdout.splitlines()[1].split()[:2])
    screen.say(
        f"{FIRMWARE}: {(code + data) // 1024} KiB of flash; MicroPython, the C core and the "
        "frozen package"
    )


if __name__ == "__main__":
    os.chdir(PROJECT)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal may lack the bar's blocks
    sys.exit(main())
