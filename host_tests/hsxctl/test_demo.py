# SPDX-License-Identifier: MIT
"""The demo's apps, its verdict on what appeared, and the demo itself on the emulated target."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from demo import __main__ as demo
from demo import card
from hsxctl import assembler
from hsxctl.commands.run import Bench
from waiting import PATIENCE

PROJECT = Path(__file__).parents[2]
APPS = PROJECT / "tools/demo/apps"

GREETING = "{} x hello, from an image on an SD card"
SECONDS = "{} s by the node's clock"
CONSOLE = [
    "[      0.043] node   scan source=SD state=started",
    *(
        f"[      0.089] pid 1  provisioning.progress percent=100 source=SD:{app}.hxe"
        for app in ("counter", "hello", "primes", "ramp")
    ),
    *(
        f"[      0.094] pid 1  provisioning.complete bytes_written=9 source=SD:{app}.hxe"
        for app in ("counter", "hello", "primes")
    ),
    "[      0.119] pid 4  provisioning.error code=EBADMSG detail=checksum differs phase=FAILED "
    "source=SD:ramp.hxe where=end",
    "[      0.126] node   scan listed=4 source=SD started=3 state=done",
    "hello> 1 x hello, from an image on an SD card",
    "hello> 2 x hello, from an image on an SD card",
    "counter> 1 s by the node's clock",
    "counter> 2 s by the node's clock",
    "primes> 1000 primes, the last is    7919",
    "primes> 2000 primes, the last is   17389",
]
TABLE = """\
PID NAME             STATE    PRI      STEPS MEMORY STOP           SOURCE
  1 counter          sleeping  10 {0:>10} 1720                SD:counter.hxe
  2 hello            sleeping  10 {0:>10} 1712                SD:hello.hxe
  3 primes           ready     10 {0:>10} 1800                SD:primes.hxe
"""


def evidence(console: list[str], *tables: str):
    seen = card.Evidence()
    for line in console:
        seen.take(line)
    for table in tables:
        seen.take_table(table)
    return seen


def lines(app: str, steps: int) -> list[str]:
    """What an app writes in so many steps, on the host."""
    image = assembler.image(assembler.assemble(APPS / f"{app}.mvasm"), app)
    bench = Bench(flat=False)
    bench.load(io.BytesIO(image).readinto, app)
    assert bench.run(steps) == "step_cap"
    return bytes.fromhex("".join(bench.uart)).decode().splitlines()


def test_hello_and_counter_number_their_lines():
    assert lines("hello", 30_000)[:300] == [GREETING.format(n) for n in range(1, 301)]
    assert lines("counter", 30_000)[:300] == [SECONDS.format(n) for n in range(1, 301)]


def test_primes_finds_the_primes():
    found = lines("primes", 1_000_000)
    assert found == ["1000 primes, the last is    7919"]
    assert not card._primes(["1000 primes, the last is    7920", "2000 primes, the last is 17389"])


def test_starts_counts_from_nothing_without_a_store():
    assert lines("starts", 1000) == ["1 starts so far"]


def test_ramp_goes_up_and_starts_again():
    assert lines("ramp", 10_000) == []


def test_all_that_should_appear_is_enough():
    assert evidence(CONSOLE, TABLE.format(10), TABLE.format(20)).missing() == []


@pytest.mark.parametrize("left_out", range(len(CONSOLE)))
def test_every_line_that_does_not_appear_is_missed(left_out):
    console = CONSOLE[:left_out] + CONSOLE[left_out + 1 :]
    assert evidence(console, TABLE.format(10), TABLE.format(20)).missing()


@pytest.mark.parametrize(
    ("tables", "missed"),
    [
        ([], "two tables of hsx.ps() (there are 0)"),
        ([TABLE.format(10)], "two tables of hsx.ps() (there are 1)"),
        ([TABLE.format(10)] * 2, "a step counter of counter that grew between the tables"),
        ([TABLE.format(1), TABLE.format(2).replace("  3 p", "  4 p")], "the same PID of primes"),
        ([TABLE.format(1), ""], "exactly counter, hello, primes in both tables"),
    ],
)
def test_tables_that_do_not_show_running_apps_are_missed(tables, missed):
    assert any(missed in what for what in evidence(CONSOLE, *tables).missing())


def test_without_firmware_the_demo_says_how_to_build_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(demo, "FIRMWARE", tmp_path / "no.elf")
    assert demo.main() == 1
    assert "Build it with 'make firmware'." in capsys.readouterr().out


@pytest.mark.target
def test_the_demo_ends_well_and_shows_what_it_promises():
    firmware = PROJECT / demo.FIRMWARE
    if not firmware.is_file():
        pytest.skip(f"no {demo.FIRMWARE}: 'make firmware' builds it")
    done = subprocess.run(
        [sys.executable, "-m", "demo"],
        cwd=PROJECT,
        env={**os.environ, "TERM": "dumb", "PYTHONPATH": "tools"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout
    for part in (
        "refused at end: EBADMSG",
        "3 of 4 images started",
        "$ mpremote connect",
        "Yes: 3",
        "the power is cut",
        "back from bank B to A: attempts used up",
        "bank B  reverted",
        "$ hsxctl push build/demo/wires/counter.hxe build/demo/wires/starts.hxe --uart ",
        "desk is node 5 now",
        "$ hsxctl push build/demo/wires/hello.hxe build/demo/wires/starts.hxe --can slcan:",
    ):
        assert part in done.stdout
