# SPDX-License-Identifier: MIT
"""The blocks of documents that are run: `sh`, `python`; `console` and `pycon` show answers too."""

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from hsxctl.cli import main
from waiting import PATIENCE


def parts(path: Path, *kinds: str) -> list[tuple[str, str]]:
    """(kind, text) of each block of these kinds, in the order of the document."""
    wanted = "|".join(kinds)
    return re.findall(rf"^```({wanted})\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL)


def blocks(path: Path, kind: str = "console") -> list[str]:
    """The text of each block of this kind."""
    return [text for _, text in parts(path, kind)]


def dialogue(block: str) -> list[tuple[str, str]]:
    """(command, what it shows) of a `console` block."""
    parts = re.split(r"^\$ (.*)\n", block, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def commands(block: str) -> list[str]:
    """The commands of an `sh` block, without the remarks behind them."""
    lines = block.replace("\\\n", "").splitlines()
    return [command for line in lines if (command := re.sub(r"(^| +)# .*", "", line).strip())]


def session(block: str) -> list[tuple[str, str]]:
    """(what is typed, what it shows) of a `pycon` block."""
    return re.findall(r"^>>> (.*)\n((?:(?!>>>).*\n)*)", block, re.MULTILINE)


def run(block: str, shown: Callable[[str], str]) -> str:
    """A `console` block as it would be if it showed what each command says."""
    return "".join(f"$ {command}\n{shown(command)}" for command, _ in dialogue(block))


def hsxctl(command: str) -> str:
    """What a terminal would show of an hsxctl command, run in this process, beside its nodes."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        main(shlex.split(command)[1:])
    return said.getvalue()


def tool(command: str, folder: Path) -> str:
    """What a terminal shows of a program of this environment, which has to end well."""
    done = subprocess.run(
        f"{shlex.quote(sys.executable)} -m {command}",
        shell=True,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def put(text: str, kind: str, old: str, new: str) -> str:
    """A document's text with another block in the place of one."""
    return text.replace(f"```{kind}\n{old}```", f"```{kind}\n{new}```")


def compare(path: Path, text: str, plain: Callable[[str], str] = str) -> None:
    """The document is to say this, but for what `plain` takes away. With HSX_WRITE_DOCS in the
    environment it is written so."""
    if "HSX_WRITE_DOCS" in os.environ:
        path.write_text(text)
    assert plain(text) == plain(path.read_text())


class UntilCtrlC(io.StringIO):
    """What a command says, until somebody who has seen `lines` lines of it presses Ctrl-C."""

    def __init__(self, lines: int) -> None:
        super().__init__()
        self._left = lines

    def write(self, text: str) -> int:
        count = super().write(text)
        before, self._left = self._left, self._left - text.count("\n")
        if before > 0 >= self._left:
            raise KeyboardInterrupt
        return count
