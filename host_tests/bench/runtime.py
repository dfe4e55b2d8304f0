# SPDX-License-Identifier: MIT
"""The second layer: what `hsx.boot.wiring` builds, with a board that the test owns.

Adds the console, the card, the boot, the policy and, with a medium, the store.
"""

from pathlib import Path

from bench.node import NodeBench
from hsx.boot.config import Config
from hsx.boot.guard import Guard
from hsx.boot.runtime import Runtime
from hsx.boot.scan import Scan
from hsx.boot.sources import Sources
from hsx.console import Console
from hsx.service.app_text import AppText
from hsx.service.events import Events
from hsx.service.loads import Loads
from hsx.service.policy import Policy
from hsx.service.provisioning import Provisioning
from hsx.store.region import Region
from hsx.store.store import Store
from hsx.transport.sdcard import SdCard


class Screen:
    """The board's console: keeps what was written."""

    def __init__(self) -> None:
        self.text = b""

    def write(self, data) -> None:
        self.text += data.encode() if isinstance(data, str) else bytes(data)


class Board:
    """A board whose timer fires when the test says so."""

    NAME = "test"
    POOL = 32768
    BOOT = ()
    IMAGES: tuple = ()

    def __init__(self, hard: bool) -> None:
        self.tick = None
        self.period = 0  # ms between two ticks
        self.cause = "hard" if hard else "soft"
        self.word = 0
        self.resets = 0
        self.mounted = False

    def timer(self, period_ms, callback):
        self.tick = callback
        self.period = period_ms
        return self

    def deinit(self) -> None:
        self.tick = None

    def reset_cause(self) -> str:
        return self.cause

    def kept(self) -> int:
        return self.word

    def keep(self, word: int) -> None:
        self.word = word

    def safe_pin(self) -> bool:
        return False

    def reset(self) -> None:
        self.resets += 1

    def sdcard_present(self) -> bool:
        return self.sdcard.exists()

    def mount_sdcard(self, root) -> None:
        if not self.sdcard.exists():
            raise OSError(19)
        self.mounted = True

    def unmount_sdcard(self, root) -> None:
        self.mounted = False


class RuntimeBench(NodeBench):
    """A runtime over a card that is a folder and, with `medium`, a store; `self.board.tick(None)`
    is one poll. `hard`: the reset that it starts from was no soft one; `cause`, `word`: what the
    board says of it and has kept. `settings`: of the boot configuration."""

    def __init__(
        self,
        folder,
        medium: Region | None = None,
        hard: bool = True,
        cause: str = "",
        word: int = 0,
        **settings,
    ) -> None:
        self.screen = Screen()
        super().__init__()
        console = Console(self.screen, ("stdout",))
        self.log = Events(self.clock, sink=console.event)
        self.node.svc.stdout = AppText(self.log, self.clock, console.text).text
        self.node.emit = self.node.values._emit = self.log.emit
        self.board = Board(hard)
        self.board.cause = cause or self.board.cause
        self.board.word = word
        self.config = Config()
        for name, value in settings.items():
            setattr(self.config, name, value)
        chunk = memoryview(bytearray(64))
        self.board.sdcard = Path(folder)
        card = SdCard(self.board, str(folder))
        self.store_part = medium
        self.policy = Policy(self.node.svc, self.log.emit)
        common = (self.node, self.log, self.clock, self.policy)
        if medium is None:
            self.service = Loads(*common)
        else:
            self.store = Store(medium, self.log.emit)
            self.service = self.provisioning = Provisioning(*common, self.store, chunk)
        scans = {"sd": Scan(card, self.service, chunk)}
        scans["sd"].depend = self.config.depend
        guard = Guard(self.board, self.config, self.clock)
        self.sources = Sources(self.service, self.config, guard, scans)
        self.runtime = Runtime(self.board, self.service, self.sources, chunk)
        self.runtime.guard = guard
        self.service.reset = guard.reset
        if medium is not None:
            self.provisioning.again = guard.may_start

    def boot(self) -> None:
        self.runtime.start()
        while not self.runtime.booted():
            self.board.tick(None)
        self.board.tick(None)

    def told(self, kind: str) -> list[dict]:
        return [event[4] for event in self.log.since(0) if event[2] == kind]
