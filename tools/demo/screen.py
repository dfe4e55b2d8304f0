# SPDX-License-Identifier: MIT
"""What the person sees: chapters, commands, and the node's console in colours."""

import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.text import Text

from hsxctl.cli import main as hsxctl
from hsxctl.errors import ToolError
from hsxctl.simulate.qemu import QemuNode

LIMIT_S = 25.0  # for everything on one node after its boot; it takes about eight

Fields = dict[str, str]
Event = tuple[str, Fields]
Take = Callable[[str], Event | None]

_EVENT = re.compile(r"\[ *([0-9.]+)\] (?:pid (\d+)|node) +(\S+) ?(.*)")
_FIELD = re.compile(r"(\w+)=(.*?)(?= \w+=|$)")
_TEXT = re.compile(r"([\w#]+)> (.*)")
_COLOURS = {"counter": "yellow", "hello": "cyan", "primes": "magenta", "starts": "yellow"}
_COLOURS |= {"display": "cyan", "sensor": "magenta"}
_BAR = 24  # characters


def event_of(line: str) -> Event | None:
    """Type and fields of a console line that tells an event; `time` and `pid` among them."""
    event = _EVENT.fullmatch(line)
    if not event:
        return None
    fields = dict(_FIELD.findall(event[4]))
    return event[3], fields | {"time": event[1], "pid": event[2] or ""}


def text_of(line: str) -> tuple[str, str] | None:
    """App and text of a console line that an app wrote."""
    text = _TEXT.fullmatch(line)
    return (text[1], text[2]) if text else None


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

    def node(self, line: str, event: Event | None) -> None:
        """One console line of the node."""
        text = text_of(line)
        if event:
            self._event(*event)
        elif text:
            cell = Text(f"   {text[0]:>16} │ ", style="dim")
            cell.append(text[1], style="not dim " + _COLOURS.get(text[0], "default"))
            self._out.print(cell)
        elif line:
            self._out.print(Text(f"   {line}", style="dim"))

    def _event(self, kind: str, fields: Fields) -> None:
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
        elif kind == "task" and fields["state"] == "killed":
            words = "ends"
        elif kind == "value_registered":
            who, words = "values", f"{fields['restored']} of {fields['count']} as they were saved"
        elif kind == "provisioning.persisted":
            who, words = "FRAM", f"the set in bank {fields['slot']} is active: {fields['state']}"
            style = "bold green"
        elif kind == "provisioning.rollback":
            words = f"back from bank {fields['from']} to {fields['to']}: {fields['reason']}"
            who, style = "FRAM", "bold red"
        elif kind == "boot":
            who, words = "boot", f"over; the apps come from {fields['source']}"
        line = Text(f"   {float(fields['time']):7.3f} {who:>12} ")
        line.append(words, style=style)
        self._out.print(line)


class Watch:
    """Reads the node's console while something else goes on."""

    def __init__(self, node: QemuNode, screen: Screen, take: "Take") -> None:
        self._node = node
        self._screen = screen
        self._take = take
        self._rest = b""  # of a line that has not ended yet
        self._until = time.monotonic() + LIMIT_S

    @property
    def late(self) -> bool:
        """Whether the time is up, or the node gone; then nothing more is waited for."""
        return time.monotonic() > self._until or not self._node.running

    def begin_anew(self) -> None:
        """Gives it all its time again, after something that took its own."""
        self._until = time.monotonic() + LIMIT_S

    def pump(self) -> None:
        """Shows the lines that have come; waits a moment for the first."""
        *lines, self._rest = (self._rest + self._node.read_console(0.05)).split(b"\n")
        for line in lines:
            text = line.decode(errors="replace").rstrip("\r")
            self._screen.node(text, self._take(text))

    def ask(self, code: str) -> str:
        """What `code` prints on the node, through mpremote while the console goes on; "" if it
        fails."""
        request = ["connect", self._node.repl, "resume", "exec", "import hsx; " + code]
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


def run(screen: Screen, *words: str | Path) -> None:
    """An hsxctl command, shown as a person would type it. ToolError if it fails."""
    screen.command("hsxctl", *words)
    if hsxctl([str(word) for word in words]) != 0:
        raise ToolError("hsxctl failed", " ".join(map(str, words)))
