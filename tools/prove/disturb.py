# SPDX-License-Identifier: MIT
"""Checks that disturb the node: resets within reads, the watchdog, Ctrl-C, a card's app."""

import threading
import time

import serial

from hsxctl.connect.serial import BAUD

from .desk import Desk, app
from .links import LOADED
from .medium import state
from .repl import returned
from .report import Failed, Figures, Skip

_WATCHDOG = 75.0  # seconds: 30 s by an oscillator that may be off by half, and the boot

# A reset by an interrupt of a timer, so that it comes in the middle of a transfer.
_RESET = """
part = lock.run(board.fram)
buf = bytearray(4096)
try:
    import pyb
    timer = pyb.Timer(4, freq=%d)
    timer.callback(lambda _: machine.reset())
except ImportError:
    part.readinto(0, buf)
    machine.reset()
while True:
    lock.run(part.readinto, 0, buf)
"""


def resets(desk: Desk) -> Figures:
    """Resets the part while it reads the FRAM; the store must be found each time."""
    found: Figures = {}
    with desk.repl() as repl:
        before = state(repl)
    if not before:
        raise Skip("there is no store: ERASE=yes makes one")
    if before == "trial":
        raise Skip("a set is on trial, which resets count against: confirm it first")
    tries = desk.tries(20, 2)
    for number in range(tries):
        with desk.repl() as repl:
            repl.leave(_RESET % (30 + 13 * number))
        with returned(str(desk.port["REPL"])) as repl:
            found = {"resets": number + 1, "reset cause": repl.value("board.reset_cause()")}
            now = state(repl)
        if now != before:
            raise Failed(
                f"after reset {number + 1} the store is '{now}', before it was '{before}'",
                "The FRAM may hold SDA low: measure SDA, and send this report. Power the board "
                "off and on before the next try.",
                found,
            )
    return found


def watchdog(desk: Desk) -> Figures:
    """Stops the CPU's interrupts, so that only the watchdog helps."""
    with desk.repl() as repl:
        if not repl.value("hsx.runtime().watchdog is not None"):
            raise Skip("no watchdog is configured")
        if desk.quick:
            raise Skip("it takes a minute, and QUICK= is set")
        if repl.value("[row['pid'] for row in lock.run(hsx.runtime().node.ps)]"):
            desk.needs_erase()  # the reset counts as a fault of the set
        repl.leave("machine.disable_irq()\nwhile True:\n pass")
    began = time.monotonic()
    with returned(str(desk.port["REPL"]), _WATCHDOG) as repl:
        took = round(time.monotonic() - began, 1)
        cause = repl.value("board.reset_cause()")
    found = {"seconds": took, "reset cause": cause}
    if cause != "watchdog":
        raise Failed("the board did not come back by its watchdog", figures=found)
    return found


def card(desk: Desk) -> Figures:
    """Runs an app from the card, if there is one."""
    with desk.repl() as repl:
        if not repl.value("bool(getattr(board, 'sdcard_present', lambda: False)())"):
            raise Skip("no card is in the slot")
        repl.run("if 'sd' not in os.listdir('/'):\n lock.run(board.mount_sdcard, '/sd')")
        images = repl.value(
            "[(s[3], n) for s in os.ilistdir('/sd') for n in (s[0],) if n.endswith('.hxe')]"
        )
        if not images:
            raise Skip("no .hxe file is in the card's top folder")
        size, name = min(images)
        running = [
            row for row in repl.value("lock.run(hsx.runtime().node.ps)") if name in row["program"]
        ]
        found: Figures = {"image": name, "bytes": size, "runs since the boot": bool(running)}
        if not running:
            pid = repl.value(f"hsx.load('/sd/{name}')")
            time.sleep(1)
            rows = repl.value("lock.run(hsx.runtime().node.ps)")
            running = [row for row in rows if row["pid"] == pid]
            repl.run(f"hsx.kill({pid})")
        found["state"] = running[0]["state"]
        if found["state"] == "faulted":
            raise Failed("the app from the card has faulted", "See the log.", found)
    return found


def ctrl_c(desk: Desk) -> Figures:
    """Presses Ctrl-C at the REPL while a host streams: nothing of the node may be torn."""
    desk.needs("REPL", "UART")
    tries = desk.tries(200, 20)
    over = threading.Event()
    trouble: list[str] = []
    loads = 0

    def stream() -> None:
        nonlocal loads
        try:
            with desk.node("UART") as node:
                image = app("prove", node.size(LOADED))
                while not over.is_set():
                    node.load(image)
                    loads += 1
        except Exception as error:  # noqa: BLE001  told by the thread that asked for it
            trouble.append(str(error))

    thread = threading.Thread(target=stream)
    said = b""
    with serial.Serial(str(desk.port["REPL"]), BAUD, timeout=0.05) as port:
        port.write(b"\r\x03\x02")  # to the prompt
        port.read(4096)
        thread.start()
        try:
            for _ in range(tries):
                if not thread.is_alive():
                    break
                port.write(b"\x03")
                said += port.read(4096)
        finally:
            over.set()
            thread.join()
        said += port.read(4096)
    found: Figures = {"Ctrl-C": tries, "loads meanwhile": loads}
    text = said.decode(errors="replace")
    if "Traceback" in text:
        raise Failed("Ctrl-C has torn a poll: " + text[text.index("Traceback") :][:500], "", found)
    if trouble:
        raise Failed(f"a load was torn: {trouble[0]}", "Send this report.", found)
    return found
