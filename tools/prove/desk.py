# SPDX-License-Identifier: MIT
"""The board that is proved: its ports, and the nodes behind them."""

import contextlib
import hashlib
import random
import struct
import sys
import time
from collections.abc import Iterator
from typing import Any

from hsx.errors import EACCES, EBUSY, HsxError, name
from hsx.image.build import build
from hsx.link import command as c
from hsx.link.host_messages import Reply, pack_request, read_list, unpack_reply
from hsxctl import clock
from hsxctl.bank_image import BankImage, bank_image, describe
from hsxctl.connect import Nodes, Progress
from hsxctl.connect.bus import BusNodes
from hsxctl.connect.line import LineNodes
from hsxctl.reach import NO_NUMBER
from hsxctl.signed_command import signed

from .repl import Repl
from .report import Failed, Skip

NUMBER = 126  # that a node gets which has none
_SLEEPS = (0x01000014, 0x30000600, 0x21000000)  # LDI R0, 20; SVC sleep; JMP 0
_MEMORY = 2048  # bytes that a task takes beside its image
_SETTLE = 15.0  # seconds until a set runs
_RUNS = ("ready", "sleeping")


def app(name: str, size: int) -> bytes:
    """An image that sleeps, with so many bytes of data which are the same each time."""
    data = random.Random(name).randbytes(size)
    return build(struct.pack(">3I", *_SLEEPS), rodata=data, name=name, flags=2)


def bank(*images: bytes) -> BankImage:
    """A set of images."""
    return bank_image((describe("app", image), image) for image in images)


class Desk:
    """`repl`, `uart`: ports, `can`: INTERFACE:CHANNEL; each None if it is not there. `erase`: what
    the board keeps may be lost. `quick`: fewer tries. `board`: the name that is expected."""

    def __init__(
        self,
        board: str | None,
        repl: str | None,
        uart: str | None,
        can: str | None,
        bitrate: int,
        erase: bool,
        quick: bool,
    ) -> None:
        self.board = board
        self.port = {"REPL": repl, "UART": uart, "CAN": can}
        self.bitrate = bitrate
        self.erase = erase
        self.quick = quick

    def tries(self, many: int, few: int) -> int:
        """How often to try something."""
        return few if self.quick else many

    def needs(self, *kinds: str) -> None:
        """Skip: one of these ports was not named."""
        for kind in kinds:
            if self.port[kind] is None:
                raise Skip(f"{kind}= was not given")

    def needs_erase(self) -> None:
        """Skip: what the board keeps must not be lost."""
        if not self.erase:
            raise Skip("it loses what the board keeps: ERASE=yes allows it")

    def repl(self) -> Repl:
        """The board's REPL. Skip, ToolError."""
        self.needs("REPL")
        return Repl(str(self.port["REPL"]))

    @contextlib.contextmanager
    def node(self, kind: str) -> Iterator["Node"]:
        """The node at the end of the link "UART" or "CAN". Skip, ToolError."""
        self.needs(kind)
        if kind == "UART":
            line = LineNodes(str(self.port["UART"]))
            try:
                yield Node(line, line.present()[0])
            finally:
                line.close()
            return
        bus = self.bus()
        try:
            yield Node(bus, self._on_the_bus(bus))
        finally:
            bus.close()

    def can_channel(self) -> tuple[str, str]:
        """Interface and channel, by python-can's names."""
        interface, _, channel = str(self.port["CAN"]).partition(":")
        return (interface, channel) if channel else ("socketcan", interface)

    def bus(self) -> BusNodes:
        """The nodes of the CAN bus."""
        self.needs("CAN")
        return BusNodes(*self.can_channel(), self.bitrate)

    def _on_the_bus(self, bus: BusNodes) -> int:
        """The number of the board on its bus; it gets one if it has none."""
        there = bus.short_ids()
        uid = self._unique_id()
        if uid is None:
            if len(there) != 1:
                raise Skip(f"{len(there)} nodes answer: name REPL= or UART= to say which it is")
            return next(iter(there))
        from hsx.link.can_messages import short_id

        for number, short in there.items():
            if short == short_id(uid):
                return number
        if NUMBER in there or not bus.number(uid, NUMBER):
            raise Failed(
                "the node does not answer on the bus",
                "Check both wires, the terminators (120 ohms at each end), the transceiver's "
                "supply, and that BITRATE= is the node's (500000).",
            )
        return NUMBER

    def _unique_id(self) -> bytes | None:
        if self.port["REPL"] is not None:
            with self.repl() as repl:
                return bytes(repl.value("bytes(board.unique_id())"))
        if self.port["UART"] is not None:
            with self.node("UART") as node:
                return bytes(node.request("hello")["uid"])
        return None

    def ask_person(self, text: str) -> None:
        """Waits for a person who does it. Skip: nobody is there, or will not."""
        if not sys.stdin.isatty():
            raise Skip("it needs a person at a terminal")
        if input(f"    {text}\n    Enter when it is done, s to leave it out: ").strip():
            raise Skip("left out by the person")


class Node:
    """One node, behind one link. ToolError: it does not answer; HsxError: it refuses."""

    def __init__(self, nodes: Nodes, number: int) -> None:
        self.nodes = nodes
        self.number = number

    def request(self, name: str, *numbers: int) -> dict[str, Any]:
        """The values of a reply."""
        return self._asked(pack_request(name, 0, *numbers)).values

    def rows(self, name: str, *numbers: int) -> list[dict[str, Any]]:
        """All rows of a list."""
        return read_list(lambda message: self.nodes.ask(self.number, message), name, *numbers)

    def command(self, action: int, acts_on: bytes = b"") -> None:
        """Does a command that nobody signs, as soon as the node is done with the one before."""
        end = time.monotonic() + clock.patient(_SETTLE)
        while True:
            try:
                self._asked(pack_request("command", 0, data=self._header(action, acts_on)))
                return
            except HsxError as error:
                if error.errno != EBUSY or time.monotonic() > end:
                    raise
            time.sleep(0.1)

    def load(self, image: bytes) -> float:
        """Sends an image straight into memory, and ends its task; bytes a second."""
        header = self._header(c.LOAD, hashlib.sha256(image).digest(), total=len(image))
        pace = self._push(header, image, hashlib.sha256(image).digest())
        for row in self.rows("ps"):
            if row["app_name_base"] == "prove":
                self.command(c.KILL, bytes([row["pid"]]))
        return pace

    def push(self, sent: BankImage, activate: bool, progress: Progress = lambda *_: None) -> float:
        """Stages a set; bytes a second."""
        flags = c.FLAG_ACTIVATE if activate else 0
        header = self._header(c.STAGE, sent.digest, total=len(sent.data), flags=flags)
        return self._push(header, sent.data, sent.digest, progress)

    def runs(self, *apps: str) -> None:
        """Waits until these apps and no others run from the store. Failed: they do not."""
        end = time.monotonic() + clock.patient(_SETTLE)
        while True:
            rows = [row for row in self.rows("ps") if row["program"].startswith("FRAM:")]
            found = sorted(row["app_name_base"] for row in rows)
            if found == sorted(apps) and all(row["state"] in _RUNS for row in rows):
                return
            if time.monotonic() > end:
                raise Failed(
                    f"the node runs {', '.join(found) or 'nothing'}, not {', '.join(apps)}",
                    "The log in this report says why a set did not start.",
                )
            time.sleep(0.1)

    def size(self, wanted: int) -> int:
        """Bytes of data that an image may have in memory, at most `wanted`. Skip: too few."""
        free = self.request("hello")["free"] - _MEMORY
        if free < 1024:
            raise Skip(f"{free + _MEMORY} bytes of task memory are free: end an app first")
        return min(wanted, free)

    def _push(
        self, header: bytes, data: bytes, digest: bytes, progress: Progress = lambda *_: None
    ) -> float:
        end = time.monotonic() + clock.patient(_SETTLE)
        errno = EBUSY  # while the set that runs is being changed
        while errno == EBUSY and time.monotonic() < end:
            began = time.monotonic()
            errno = self.nodes.push([self.number], header, data, digest, progress)[self.number]
        if errno == EACCES:
            raise Skip("the node wants signatures: prove one whose policy asks for none")
        if errno:
            raise Failed(
                f"the node ended a push: {name(errno)}", "Its log in this report says why."
            )
        return round(len(data) / (time.monotonic() - began))

    def _header(self, action: int, acts_on: bytes, **more: Any) -> bytes:
        named = None if self.number == NO_NUMBER else [self.number]
        return signed(None, action, acts_on, nodes=named, **more)

    def _asked(self, message: bytes) -> Reply:
        return unpack_reply(self.nodes.ask(self.number, message)).require()
