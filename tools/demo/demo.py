# SPDX-License-Identifier: MIT
"""`make demo`: a node boots from an SD card and runs three apps, while you watch.

Builds the apps in `apps/` with hsxctl, damages one on purpose, makes a card of them, boots the
Cortex-M4 firmware in QEMU from it, and shows the node's own console as it comes: the scan, the
image it refuses, the apps' text. Meanwhile a real mpremote asks twice what runs.

Exit code 0 if everything that should appear did; else 1, and what is missing is listed. The whole
console log is kept in build/demo/console.log.
"""

import io
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

from hsxctl.cli import main as hsxctl
from hsxctl.errors import ToolError
from hsxctl.simulate.qemu import QemuNode

PROJECT = Path(__file__).resolve().parents[2]
SOURCES = Path("tools/demo/apps")
FIRMWARE = Path("build/qemu_m4/firmware.elf")
BUILD = Path("build/demo")
RUNNING = ("counter", "hello", "primes")
DAMAGED = "ramp"
DAMAGED_AT = 0x64  # a byte of the code, which begins at 0x60
LIMIT_S = 25.0  # for everything after the boot; it takes about eight

_EVENT = re.compile(r"\[ *([0-9.]+)\] (?:pid (\d+)|node) +(\S+) ?(.*)")
_FIELD = re.compile(r"(\w+)=(.*?)(?= \w+=|$)")
_TEXT = re.compile(r"(\w+)> (.*)")
_COLOURS = {"counter": "yellow", "hello": "cyan", "primes": "magenta"}
_BAR = 24  # characters


class Evidence:
    """What the node said so far, as facts; `missing()` is the verdict."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, str]]] = []
        self.text: dict[str, list[str]] = {app: [] for app in RUNNING}
        self.tables: list[dict[str, tuple[int, int]]] = []  # app -> (PID, steps), per ps

    def take(self, line: str) -> tuple[str, dict[str, str]] | None:
        """Notes one console line; gives its type and fields if it is an event."""
        event = _EVENT.fullmatch(line)
        if event:
            fields = dict(_FIELD.findall(event[4]))
            fields |= {"time": event[1], "pid": event[2] or ""}
            self.events.append((event[3], fields))
            return self.events[-1]
        text = _TEXT.fullmatch(line)
        if text and text[1] in self.text:
            self.text[text[1]].append(text[2])
        return None

    def take_table(self, table: str) -> None:
        """Notes what `hsx.ps()` printed."""
        rows = [line.split() for line in table.splitlines()]
        found = {row[1]: (int(row[0]), int(row[4])) for row in rows if row and row[0].isdigit()}
        self.tables.append(found)

    def has(self, kind: str, **wanted: str) -> bool:
        """Whether an event of this type has these fields."""
        return any(
            kind == name and wanted.items() <= fields.items() for name, fields in self.events
        )

    def lines(self, counter: int, hello: int, primes: int) -> bool:
        """Whether each app has written that many lines."""
        counts = {"counter": counter, "hello": hello, "primes": primes}
        return all(len(self.text[app]) >= count for app, count in counts.items())

    def missing(self) -> list[str]:
        """What should have appeared and did not, one sentence each."""
        checks = [
            (self.has("scan", source="SD", state="started"), "the scan of the SD card"),
            (
                self.has("scan", source="SD", state="done", listed="4", started="3"),
                "the end of the scan with 3 of 4 apps started",
            ),
            (
                self.has(
                    "provisioning.error",
                    source=f"SD:{DAMAGED}.hxe",
                    code="EBADMSG",
                    detail="checksum differs",
                ),
                f"the refusal of {DAMAGED}.hxe because its checksum differs",
            ),
        ]
        for app in (*RUNNING, DAMAGED):
            source = f"SD:{app}.hxe"
            checks.append(
                (
                    self.has("provisioning.progress", source=source, percent="100"),
                    f"the progress of {app}.hxe up to 100 percent",
                )
            )
        for app in RUNNING:
            source = f"SD:{app}.hxe"
            checks.append(
                (self.has("provisioning.complete", source=source), f"{app}.hxe complete")
            )
        for app, right in (("hello", _greetings), ("counter", _seconds), ("primes", _primes)):
            checks.append((right(self.text[app]), f"the right text of {app}, several times"))
        return [what for good, what in checks if not good] + self._missing_tables()

    def _missing_tables(self) -> list[str]:
        if len(self.tables) != 2:
            return [f"two tables of hsx.ps() (there are {len(self.tables)})"]
        first, second = self.tables
        if set(first) != set(RUNNING) or set(second) != set(RUNNING):
            return [f"exactly {', '.join(RUNNING)} in both tables of hsx.ps()"]
        found = []
        for app in RUNNING:
            if first[app][0] != second[app][0]:
                found.append(f"the same PID of {app} in both tables")
            if first[app][1] >= second[app][1]:
                found.append(f"a step counter of {app} that grew between the tables")
        return found


def _numbered(lines: list[str], text: str) -> bool:
    return len(lines) > 1 and lines == [f"{n}{text}" for n in range(1, len(lines) + 1)]


def _greetings(lines: list[str]) -> bool:
    return _numbered(lines, " x hello, from an image on an SD card")


def _seconds(lines: list[str]) -> bool:
    return _numbered(lines, " s by the node's clock")


def _primes(lines: list[str]) -> bool:
    reports = [re.fullmatch(r"(\d+) primes, the last is +(\d+)", line) for line in lines]
    said = [(int(report[1]), int(report[2])) for report in reports if report]
    if len(said) < max(len(lines), 2):
        return False
    top = max(last for _, last in said) + 1
    prime = bytearray([0, 0]) + bytearray([1]) * (top - 2)
    for number in range(2, int(top**0.5) + 1):
        if prime[number]:
            prime[number * number :: number] = bytes(len(prime[number * number :: number]))
    return all(prime[last] and sum(prime[: last + 1]) == count for count, last in said)


class Screen:
    """What the person sees: colours on a terminal, the same words elsewhere."""

    def __init__(self) -> None:
        self._out = Console(highlight=False, soft_wrap=True)
        self._chapters = 0

    def chapter(self, title: str) -> None:
        self._chapters += 1
        self._out.print()
        self._out.print(Text(f"{self._chapters}  {title}", style="bold"))

    def command(self, *words: str | Path) -> None:
        self._out.print(Text("   $ " + shlex.join(map(str, words)), style="dim"))

    def say(self, text: str, style: str = "") -> None:
        self._out.print(Text("   " + text, style=style))

    def node(self, line: str, event: tuple[str, dict[str, str]] | None) -> None:
        """One console line of the node."""
        text = _TEXT.fullmatch(line)
        if event:
            self._event(*event)
        elif text:
            cell = Text(f"   {text[1]:>16} │ ", style="dim")
            cell.append(text[2], style="not dim " + _COLOURS.get(text[1], "default"))
            self._out.print(cell)
        elif line:
            self._out.print(Text(f"   {line}", style="dim"))

    def _event(self, kind: str, fields: dict[str, str]) -> None:
        who = fields.get("source", "").removeprefix("SD:") or fields.get("instance", "")
        words, style = " ".join(f"{k}={v}" for k, v in fields.items()), "dim"
        if kind == "scan" and fields["state"] == "started":
            who, words = "scan", f"reading the manifest of {fields['source']}"
        elif kind == "scan":
            who = "scan"
            words = f"done: {fields.get('started')} of {fields.get('listed')} images started"
        elif kind == "provisioning.started":
            words, style = f"{fields['total_bytes']} bytes", ""
        elif kind == "provisioning.progress":
            percent = int(fields["percent"])
            full = percent * _BAR // 100
            words, style = f"{'█' * full}{'░' * (_BAR - full)} {percent:3} %", "blue"
        elif kind == "provisioning.complete":
            words, style = "checked and in memory", "green"
        elif kind == "provisioning.error":
            words = f"refused at {fields['where']}: {fields['code']}, {fields['detail']}"
            style = "bold red"
        elif kind == "task" and fields["state"] == "ready":
            words, style = f"starts as PID {fields['pid']}", "green"
        line = Text(f"   {float(fields['time']):7.3f} {who:>12} ")
        line.append(words, style=style)
        self._out.print(line)


class Watch:
    """Reads the node's console while something else goes on."""

    def __init__(self, node: QemuNode, screen: Screen, evidence: Evidence) -> None:
        self._node = node
        self._screen = screen
        self._evidence = evidence
        self._rest = b""  # of a line that has not ended yet
        self._until = time.monotonic() + LIMIT_S

    @property
    def late(self) -> bool:
        """Whether the time is up, or the node gone; then nothing more is waited for."""
        return time.monotonic() > self._until or not self._node.running

    def pump(self) -> None:
        """Shows the lines that have come; waits a moment for the first."""
        *lines, self._rest = (self._rest + self._node.read_console(0.05)).split(b"\n")
        for line in lines:
            text = line.decode(errors="replace").rstrip("\r")
            self._screen.node(text, self._evidence.take(text))

    def ask(self) -> str:
        """The table of `hsx.ps()`, asked for through mpremote while the console goes on."""
        request = ["connect", self._node.repl, "resume", "exec", "import hsx; hsx.ps()"]
        self._screen.command("mpremote", *request)
        process = subprocess.Popen(
            [sys.executable, "-m", "mpremote", *request],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            while process.poll() is None and not self.late:
                self.pump()
        finally:
            process.kill()
            said, _ = process.communicate()
        for line in said.splitlines():
            self._screen.say(line, "bold" if process.returncode == 0 else "red")
        return said if process.returncode == 0 else ""


def build_card(screen: Screen) -> Path:
    """The SD card, by the commands that a person would type. ToolError if one of them fails."""
    apps = BUILD / "apps"
    apps.mkdir(parents=True, exist_ok=True)
    for old in apps.iterdir():
        old.unlink()
    for app in sorted((*RUNNING, DAMAGED)):
        _run(screen, "asm", SOURCES / f"{app}.mvasm", "-o", apps / f"{app}.hxe")
    image = apps / f"{DAMAGED}.hxe"
    data = bytearray(image.read_bytes())
    data[DAMAGED_AT] ^= 0x08
    image.write_bytes(data)
    screen.say(f"now one bit of {image} is flipped on purpose, at byte {DAMAGED_AT:#x}", "red")
    card = BUILD / "card.img"
    _run(screen, "sdcard", apps, "-o", card)
    return card


def _run(screen: Screen, *words: str | Path) -> None:
    screen.command("hsxctl", *words)
    if hsxctl([str(word) for word in words]) != 0:
        raise ToolError("hsxctl failed", " ".join(map(str, words)))


def show_firmware(screen: Screen) -> None:
    """What `make firmware` built."""
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


def watch_node(card: Path, screen: Screen, evidence: Evidence) -> None:
    """Boots and lets the node run until all is seen or the time is up; ends it cleanly."""
    with QemuNode(FIRMWARE, sd=card) as node:
        watch = Watch(node, screen, evidence)
        try:
            screen.chapter("The node boots from the card (Cortex-M4 in QEMU, its own console)")
            while not (evidence.has("scan", state="done") or watch.late):
                watch.pump()
            screen.chapter("The apps run")
            while not (evidence.lines(counter=1, hello=2, primes=1) or watch.late):
                watch.pump()
            for last in (False, True):
                screen.chapter("What runs? mpremote asks, and the apps go on")
                evidence.take_table(watch.ask())
                seen = {app: len(lines) + 2 for app, lines in evidence.text.items()}
                while not (last or evidence.lines(**seen) or watch.late):
                    watch.pump()
        finally:
            (BUILD / "console.log").write_bytes(node.console_log)


def main() -> int:
    """Runs the demo; gives the exit code."""
    screen = Screen()
    evidence = Evidence()
    started = time.monotonic()
    try:
        screen.chapter("The firmware")
        show_firmware(screen)
        screen.chapter("Four apps and an SD card")
        card = build_card(screen)
        watch_node(card, screen, evidence)
    except (ToolError, OSError, subprocess.CalledProcessError) as error:
        screen.say(f"demo failed: {error}", "bold red")
        return 1
    except KeyboardInterrupt:
        screen.say("demo interrupted; the node is ended", "bold red")
        return 130
    missing = evidence.missing()
    screen.chapter("Did everything appear?")
    for what in missing:
        screen.say(f"missing: {what}", "bold red")
    if missing:
        screen.say(f"The node's whole console is in {BUILD / 'console.log'}.")
        return 1
    before, after = evidence.tables
    for app in RUNNING:
        grown = after[app][1] - before[app][1]
        screen.say(f"{app}: PID {after[app][0]}, {grown} steps between the two questions")
    screen.say(
        f"Yes: 3 apps ran, 1 damaged image was refused, in {time.monotonic() - started:.1f} s.",
        "bold green",
    )
    return 0


if __name__ == "__main__":
    os.chdir(PROJECT)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal may lack the bar's blocks
    sys.exit(main())
