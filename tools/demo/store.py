# SPDX-License-Identifier: MIT
"""The node keeps its apps in FRAM: an update meets a power cut, a bad one is given back; and two
apps that talk to each other keep what a command has set."""

import subprocess
import sys
from pathlib import Path

from hsxctl.simulate.qemu import QemuNode
from hsxctl.store_file import StoreFile

from .screen import Event, Screen, Watch, event_of, run, text_of

SOURCES = Path("tools/demo/apps")
UPDATE = Path("tools/demo/updates/hello.mvasm")
ATTEMPTS = 3  # what a node gives a set on trial
_STAGED = 8192  # bytes of some 30,000 that are in place when the power is cut


class Life:
    """One power-on of the node: what it said, and when."""

    def __init__(
        self,
        firmware: Path,
        screen: Screen,
        fram: Path,
        sd: Path | None = None,
        uid: str = "",
    ) -> None:
        self.events: list[Event] = []
        self.text: list[tuple[str, str]] = []
        self.node = QemuNode(firmware, sd=sd, fram=fram, uid=uid)
        self.watch = Watch(self.node, screen, self._take)

    def __enter__(self) -> "Life":
        self.until("boot", state="over")
        return self

    def __exit__(self, *error: object) -> None:
        self.node.close()

    def _take(self, line: str) -> Event | None:
        event = event_of(line)
        text = text_of(line)
        if event:
            self.events.append(event)
        elif text:
            self.text.append(text)
        return event

    def has(self, kind: str, **wanted: str) -> bool:
        """Whether an event of this type has these fields."""
        return any(kind == name and wanted.items() <= said.items() for name, said in self.events)

    def until(self, kind: str, **wanted: str) -> None:
        """Shows the console until this was told, or it is too late."""
        while not (self.has(kind, **wanted) or self.watch.late):
            self.watch.pump()

    def says(self, app: str, text: str) -> bool:
        """Waits for this line of an app; whether it came."""
        while (app, text) not in self.text and not self.watch.late:
            self.watch.pump()
        return (app, text) in self.text

    def last(self, app: str) -> str:
        """The newest line of an app."""
        return next((text for name, text in reversed(self.text) if name == app), "")


class Story:
    """The chapters, in order; `missing` is what should have appeared and did not."""

    def __init__(self, screen: Screen, firmware: Path, folder: Path) -> None:
        self.missing: list[str] = []
        self._screen = screen
        self._firmware = firmware
        self._fram = folder / "fram.bin"
        self._card = folder / "apps.img"
        self._update = folder / "update.img"
        self._folder = folder

    def tell(self) -> None:
        """All of it."""
        self._make_cards()
        self._keep()
        self._restart()
        self._cut()
        self._bad_update()
        self._two_apps()

    def _expect(self, good: bool, what: str) -> None:
        if not good:
            self.missing.append(what)

    def _life(self, sd: Path | None = None) -> Life:
        return Life(self._firmware, self._screen, self._fram, sd)

    def _make_cards(self) -> None:
        self._fram.unlink(missing_ok=True)
        for name in ("kept", "update"):
            folder = self._folder / name
            folder.mkdir(parents=True, exist_ok=True)
            for old in folder.iterdir():
                old.unlink()
        kept, update = self._folder / "kept", self._folder / "update"
        self._screen.chapter("Two apps to keep, one of them with a value, and an update")
        run(self._screen, "asm", SOURCES / "hello.mvasm", "-o", kept / "hello.hxe")
        run(self._screen, "asm", SOURCES / "starts.mvasm", "-o", kept / "starts.hxe")
        run(self._screen, "asm", UPDATE, "-o", update / "hello.hxe")
        run(self._screen, "sdcard", kept, "-o", self._card)
        run(self._screen, "sdcard", update, "-o", self._update)

    def _keep(self) -> None:
        self._screen.chapter("A node with an empty FRAM keeps what it runs from the card")
        with self._life(self._card) as life:
            life.says("starts", "1 starts so far")
            life.watch.ask("hsx.format('erase everything')")
            life.watch.ask("hsx.persist(1, 2, version='1.0'); hsx.activate()")
            life.until("task", state="ready", instance="starts", pid="2")
            said = life.watch.ask("hsx.confirm(); hsx.slots()")
            self._expect("bank A  confirmed, active" in said, "a confirmed set in bank A")

    def _restart(self) -> None:
        self._screen.chapter("Power off and on, without the card")
        with self._life() as life:
            self._expect(life.says("starts", "2 starts so far"), "the value of starts kept")
            said = life.watch.ask("hsx.ps()")
            self._expect("FRAM:A/starts" in said, "apps that run from bank A")

    def _cut(self) -> None:
        self._screen.chapter("An update, and a power cut in the middle of it")
        with self._life(self._update) as life:
            life.says("starts", "3 starts so far")
            request = ["connect", life.node.repl, "resume", "exec"]
            request.append("import hsx; hsx.persist('/sd/hello.hxe', version='2.0')")
            self._screen.command("mpremote", *request)
            asking = subprocess.Popen(
                [sys.executable, "-m", "mpremote", *request],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            try:
                while StoreFile(self._fram).record.progress < _STAGED and not life.watch.late:
                    pass
                life.node.kill()
            finally:
                asking.kill()
                asking.wait()
            self._screen.say("the power is cut", "bold red")
        there = StoreFile(self._fram).record.progress
        self._screen.say(f"{there} bytes of the update are in place")
        self._expect(_STAGED <= there < 3 * _STAGED, "a power cut in the middle of the update")
        run(self._screen, "fram", "check", self._fram)
        self._screen.chapter("The old set runs; the same update goes on where it was")
        with self._life(self._update) as life:
            self._expect(life.says("starts", "4 starts so far"), "the old set after the cut")
            self._expect(
                life.says("hello", "1 x hello, from an image on an SD card"),
                "the old hello after the cut",
            )
            life.watch.ask("hsx.persist('/sd/hello.hxe', version='2.0')")
            resumed = [
                int(fields["bytes_written"])
                for name, fields in life.events
                if name == "provisioning.started" and fields.get("source") == "FRAM"
            ]
            self._expect(resumed == [there], "an update that goes on where it was")
            life.watch.ask("hsx.activate(); hsx.status()")
            self._expect(life.says("hello", "1 x hello, version 2"), "the new hello")
            self._expect(life.says("starts", "5 starts so far"), "starts beside the new hello")

    def _bad_update(self) -> None:
        self._screen.chapter("Say it is a bad one: it brings the supply down, three times")
        for attempt in range(1, ATTEMPTS + 1):
            with self._life() as life:
                shown = life.says("hello", "1 x hello, version 2")
                self._expect(shown, f"the set on trial at attempt {attempt}")
                self._expect(
                    life.says("starts", f"{5 + attempt} starts so far"),
                    f"a value that goes on at attempt {attempt}",
                )
                life.node.kill()
            self._screen.say("the power fails", "bold red")
        self._screen.chapter("Its attempts are used up: the old set is back, its values with it")
        with self._life() as life:
            self._expect(
                life.has("provisioning.rollback", reason="attempts used up", to="A"),
                "the revert after three attempts",
            )
            self._expect(
                life.says("hello", "1 x hello, from an image on an SD card"),
                "the old hello after the revert",
            )
            self._expect(life.says("starts", "5 starts so far"), "the value of before the update")
            said = life.watch.ask("hsx.slots()")
            self._expect("bank B  reverted" in said, "a reverted bank B")
        run(self._screen, "fram", "info", self._fram)

    def _two_apps(self) -> None:
        self._screen.chapter("A sensor sends to a display; a command sets what is kept")
        folder, card = self._folder / "talk", self._folder / "talk.img"
        folder.mkdir(parents=True, exist_ok=True)
        for app in ("display", "sensor"):
            run(self._screen, "asm", SOURCES / f"{app}.mvasm", "-o", folder / f"{app}.hxe")
        run(self._screen, "sdcard", folder, "-o", card)
        self._fram.unlink()
        with self._life(card) as life:
            self._expect(life.says("display", "2 is the level"), "levels on the display")
            life.watch.ask("hsx.format('erase everything'); hsx.persist(1, 2); hsx.activate()")
            life.says("display", "1 is the level")
            said = life.watch.ask("hsx.commands(); print(hsx.call(2, 272)); hsx.confirm()")
            self._expect("100" in said.split(), "the answer of the command")
            while not life.last("display").startswith("10") and not life.watch.late:
                life.watch.pump()
        self._screen.chapter("Power off and on: the sensor goes on from what was set")
        with self._life() as life:
            self._expect(life.says("display", "101 is the level"), "the offset of the command")
            said = life.watch.ask("hsx.values()")
            self._expect("offset" in said, "the value of the sensor")
