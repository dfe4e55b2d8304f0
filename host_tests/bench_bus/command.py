# SPDX-License-Identifier: MIT
"""`hsxctl sim --nodes` as its own process, and its console."""

import json
import subprocess
import sys
from pathlib import Path

from waiting import PATIENCE

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "build/sim/micropython"


class SimCommand:
    """Use it as a context manager: the nodes are on then. `hello`: what it says first; `can`: the
    options by which hsxctl reaches the bus."""

    def __init__(self, *words) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hsxctl", "sim", "--port", "0", "--json", *map(str, words)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "SimCommand":
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(self.process.communicate()[1])
        self.hello = json.loads(line)
        self.place = "hsx-bench:" + self.hello["channel"].partition(":")[2]
        self.can = ["--can", self.place]
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def say(self, *words) -> None:
        """A line of its console."""
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()

    def told(self) -> dict:
        """The next object that it says."""
        return json.loads(self.process.stdout.readline())

    def ask(self, *words) -> dict:
        """Both."""
        self.say(*words)
        return self.told()

    def end(self) -> tuple[int, str]:
        """Waits until it has ended by itself: exit code, what it said last."""
        _, said = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, said
