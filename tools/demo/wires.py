# SPDX-License-Identifier: MIT
"""A node without a card gets its apps over a UART, and other ones over CAN."""

from pathlib import Path

from .screen import Screen, run
from .store import SOURCES, UPDATE, Life

NODE = "5"  # its number on the bus
UID = "desk"  # what tells it from all others: on a real one the chip's, on its label


class Wires:
    """The two chapters; `missing` is what should have appeared and did not."""

    def __init__(self, screen: Screen, firmware: Path, folder: Path) -> None:
        self.missing: list[str] = []
        self._screen = screen
        self._firmware = firmware
        self._folder = folder / "wires"

    def tell(self) -> None:
        """Both."""
        screen = self._screen
        self._folder.mkdir(parents=True, exist_ok=True)
        counter, starts, hello = (
            self._folder / f"{app}.hxe" for app in ("counter", "starts", "hello")
        )
        fram = self._folder / "fram.bin"
        fram.unlink(missing_ok=True)
        screen.chapter("A node with nothing on it: two apps go in over a UART")
        run(screen, "asm", SOURCES / "counter.mvasm", "-o", counter)
        run(screen, "asm", SOURCES / "starts.mvasm", "-o", starts)
        run(screen, "asm", UPDATE, "-o", hello)
        with Life(self._firmware, screen, fram, uid=UID) as life:
            life.watch.ask("hsx.format('erase everything')")
            uart = ("--uart", life.node.uart2)
            run(screen, "push", counter, starts, *uart)
            self._expect(life.says("starts", "1 starts so far"), "starts, pushed over the UART")
            self._expect(
                life.says("counter", "1 s by the node's clock"), "counter, pushed over the UART"
            )
            run(screen, "confirm", *uart)
            screen.chapter("It becomes a node of a CAN bus, and takes another set over it")
            # python-can waits for adapters that reset when they are opened; this one does not.
            can = ("--can", f"slcan:{life.node.uart3}", "--option", "sleep_after_open=0")
            run(screen, "nodes", "number", UID, NODE, *can)
            run(screen, "push", hello, starts, *can, "--node", NODE)
            life.watch.begin_anew()
            self._expect(
                life.says("hello", "1 x hello, version 2"), "another hello, pushed over CAN"
            )
            self._expect(life.says("starts", "2 starts so far"), "a value kept through the push")
            run(screen, "slots", *can)
            self._expect(
                life.has("provisioning.complete", source=f"CAN:{NODE}:3"), "the end of the push"
            )

    def _expect(self, good: bool, what: str) -> None:
        if not good:
            self.missing.append(what)
