# SPDX-License-Identifier: MIT
"""A node boots from an SD card and runs three apps; a fourth is damaged on purpose."""

import re
from pathlib import Path

from hsxctl.simulate.qemu import QemuNode

from .screen import Event, Screen, Watch, event_of, run, text_of

SOURCES = Path("tools/demo/apps")
RUNNING = ("counter", "hello", "primes")
DAMAGED = "ramp"
DAMAGED_AT = 0x64  # a byte of the code, which begins at 0x60


class Evidence:
    """What the node said so far, as facts; `missing()` is the verdict."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, str]]] = []
        self.text: dict[str, list[str]] = {app: [] for app in RUNNING}
        self.tables: list[dict[str, tuple[int, int]]] = []  # app -> (PID, steps), per ps

    def take(self, line: str) -> Event | None:
        """Notes one console line; gives its type and fields if it is an event."""
        event = event_of(line)
        text = text_of(line)
        if event:
            self.events.append(event)
        elif text and text[0] in self.text:
            self.text[text[0]].append(text[1])
        return event

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


def build_card(screen: Screen, folder: Path) -> Path:
    """The SD card, by the commands that a person would type. ToolError if one of them fails."""
    apps = folder / "apps"
    apps.mkdir(parents=True, exist_ok=True)
    for old in apps.iterdir():
        old.unlink()
    for app in sorted((*RUNNING, DAMAGED)):
        run(screen, "asm", SOURCES / f"{app}.mvasm", "-o", apps / f"{app}.hxe")
    image = apps / f"{DAMAGED}.hxe"
    data = bytearray(image.read_bytes())
    data[DAMAGED_AT] ^= 0x08
    image.write_bytes(data)
    screen.say(f"now one bit of {image} is flipped on purpose, at byte {DAMAGED_AT:#x}", "red")
    card = folder / "card.img"
    run(screen, "sdcard", apps, "-o", card)
    return card


def watch_node(firmware: Path, card: Path, screen: Screen, evidence: Evidence, log: Path) -> None:
    """Boots and lets the node run until all is seen or the time is up; `log` gets its console."""
    with QemuNode(firmware, sd=card) as node:
        watch = Watch(node, screen, evidence.take)
        try:
            screen.chapter("The node boots from the card (Cortex-M4 in QEMU, its own console)")
            while not (evidence.has("scan", state="done") or watch.late):
                watch.pump()
            screen.chapter("The apps run")
            while not (evidence.lines(counter=1, hello=2, primes=1) or watch.late):
                watch.pump()
            for last in (False, True):
                screen.chapter("What runs? mpremote asks, and the apps go on")
                evidence.take_table(watch.ask("hsx.ps()"))
                seen = {app: len(lines) + 2 for app, lines in evidence.text.items()}
                while not (last or evidence.lines(**seen) or watch.late):
                    watch.pump()
        finally:
            log.write_bytes(node.console_log)
