# SPDX-License-Identifier: MIT
"""A newcomer follows README.md to the letter, in a folder that has what a fresh clone has."""

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from docs.console import blocks, commands, dialogue
from waiting import PATIENCE, Deadline

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
COMPLETE = pytest.mark.complete("in a fresh clone `make test` itself has just done the same")
pytestmark = pytest.mark.target

# What differs from run to run: times, ports, how much of a bar is drawn, how far the node was.
_CHANGING = [
    (r"/dev/pts/\d+", "/dev/pts/N"),
    (r"\d+\.\d\d\d\b", "T"),
    (r"8\d\d\d bytes", "N bytes"),
    (r"\d+ starts so far", "N starts so far"),
    (r"[█░]+ +\d+ %", "BAR"),
    (r" +", " "),
]


def plain(line: str) -> str:
    for pattern, instead in _CHANGING:
        line = re.sub(pattern, instead, line)
    return line.strip()


def in_order(shown: str, said: str) -> str:
    """The first line of `shown` that does not come in its turn in `said`, or nothing. Three dots
    stand for what the document leaves out."""
    lines = iter([plain(line) for line in said.splitlines()])
    for line in filter(None, shown.splitlines()):
        pattern = re.escape(plain(line)).replace(re.escape("..."), ".+")
        if not any(re.fullmatch(pattern, found) for found in lines):
            return line
    return ""


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory):
    """The folder, and a newcomer's environment. Nothing is downloaded twice."""
    folder = tmp_path_factory.mktemp("newcomer") / "hsx"
    try:
        command = ["git", "ls-files", "-z"]
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("without git, or outside a clone, nobody can say what a fresh clone has")
    for name in filter(None, listed.decode().split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    kept = {"PATH", "HOME", "LANG", "CACHE", "MICROPYTHON_DIR", "HSXCTL_PATIENCE"}
    environment = {name: value for name, value in os.environ.items() if name in kept}
    environment.setdefault("CACHE", str(ROOT / ".cache"))
    return folder, {**environment, "TERM": "dumb", "LC_ALL": "C.UTF-8", "COLUMNS": "200"}


def run(newcomer, command, timeout=PATIENCE):
    folder, environment = newcomer
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
    )


@COMPLETE
@pytest.mark.timeout(3600)
def test_the_first_command_installs_builds_and_shows_what_the_readme_shows(newcomer):
    (two,) = [block for block in blocks(README, "sh") if "make demo" in block]
    demo, test = commands(two)
    done = run(newcomer, demo, timeout=3500)
    assert done.returncode == 0, done.stdout
    (excerpt,) = blocks(README, "text")
    assert in_order(excerpt, done.stdout) == ""
    # The second command is what runs this test: here make only says what it would do.
    done = run(newcomer, test.replace("make", "make --dry-run"))
    assert done.returncode == 0 and "pytest" in done.stdout
    listed = run(newcomer, "make")
    for name in ("setup", "firmware", "demo", "test", "fuzz", "bench", "size", "powercut"):
        assert f"  make {name} " in listed.stdout


@COMPLETE
def test_the_developers_commands_show_what_the_readme_shows(newcomer):
    (block,) = blocks(README)
    *steps, (sim, shown) = dialogue(block)
    said_before = ""
    for command, expected in steps:
        if not expected:  # it makes ready for those that follow
            said_before += command + "\n"
        done = run(newcomer, said_before + (command if expected else ""))
        assert done.stdout == expected, command
    said, table = follow(newcomer, said_before + "exec " + sim, shown)
    assert in_order(shown, said) == "", said
    assert re.search(r"^ +1 +hello +(sleeping|ready) ", table, re.MULTILINE), table


def follow(newcomer, command, shown):
    """Starts the node, runs the mpremote command that it names, and ends it with Ctrl-C as soon as
    it has said all that is shown. Gives what it said, and what mpremote did."""
    folder, environment = newcomer
    node = subprocess.Popen(
        ["bash", "-c", command],
        cwd=folder,
        env={**environment, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    said = b""
    try:
        os.set_blocking(node.stdout.fileno(), False)
        deadline = Deadline()
        while in_order(shown, said.decode(errors="replace")) and not deadline.over():
            said += node.stdout.read() or b""
            assert node.poll() is None, said
            time.sleep(0.05)
        asks = re.search(r"^ +(mpremote .*)$", said.decode(), re.MULTILINE)
        table = run(newcomer, f'PATH="$PWD/.venv/bin:$PATH"\n{asks[1]}').stdout if asks else ""
        node.send_signal(signal.SIGINT)
        node.wait(10)
    finally:
        node.kill()
        node.wait()
    return said.decode(), table
