# SPDX-License-Identifier: MIT
"""Apps, REPL, mpremote and Ctrl-C on one node at the same time."""

import random
import re
import subprocess
import sys

import pytest

from bench.images import SLEEP, SPIN, UART_WRITE, an_image, ldi, ldi32
from hsxctl import fat_image
from waiting import PATIENCE

pytestmark = pytest.mark.target

TALKER = an_image(
    *(*ldi32(1, 0x4000), ldi(2, 6), UART_WRITE, ldi(0, 20), SLEEP, SPIN),
    rodata=b"alive\n",
    name="talker",
)
SPINNER = an_image(SPIN, name="spinner")
LARGE = an_image(*[SPIN] * 1000, rodata=bytes(range(250)), name="large")
BROKEN = LARGE[:-1] + b"?"

MANIFEST = b"""schema = 1
[[image]]
file = "talker.hxe"
[[image]]
file = "spinner.hxe"
"""

# Whole: what the core holds is what the task table says, and every byte is accounted for.
CHECK = """
import board, gc, hsx, machine, time
from hsx import native
from hsx.boot import lock
def state():
    session = hsx.runtime()._session
    if session is not None:
        session.abort()
    node = hsx.runtime().node
    pids = sorted(task.pid for task in node.tasks.order)
    held = sum(node.vm.get(pid, native.ARENA) for pid in pids)
    return [pids == list(node.vm.pids()), held + node.vm.free(), pids]
def whole():
    return lock.run(state)
def tidy():
    for pid in whole()[2]:
        if pid > 2:
            hsx.kill(pid)
    return whole()
"""

BUSY = (
    "while True: hsx.kill(hsx.load('/sd/large.hxe'))",
    "while True:\n try: hsx.load('/sd/broken.hxe')\n except OSError: pass",
    "while True: hsx.load('/sd/talker.hxe'); tidy()",
    "hsx.run()",
    "while True: hsx.runtime().node.ps()",
    "while True: time.sleep_ms(1)",
)


@pytest.fixture
def port(power_up, tmp_path):
    """A node whose apps talk and spin."""
    card = tmp_path / "card.img"
    images = {"talker": TALKER, "spinner": SPINNER, "large": LARGE, "broken": BROKEN}
    files = [(f"{name}.hxe", image) for name, image in images.items()]
    fat_image.write(card, fat_image.SMALLEST, [*files, ("hsx.toml", MANIFEST)])
    return power_up(sd=card)


def ps(node, *how: str) -> dict[int, int]:
    """Steps by PID, as the real mpremote shows them."""
    command = [sys.executable, "-m", "mpremote", "connect", node.repl, *how]
    done = subprocess.run(
        [*command, "exec", "import hsx; hsx.ps()"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = re.findall(r"^ *(\d+) \w+ +\w+ +\d+ +(\d+) ", done.stdout, re.MULTILINE)
    return {int(pid): int(steps) for pid, steps in rows}


def test_mpremote_sees_the_same_apps_ten_times_while_they_run(port):
    port.wait_console("alive")
    seen = [ps(port, "resume") for _ in range(10)]
    assert {tuple(rows) for rows in seen} == {(1, 2)}
    for before, after in zip(seen, seen[1:], strict=False):
        assert all(after[pid] > before[pid] for pid in (1, 2))


def test_without_resume_the_node_starts_its_apps_again_by_itself(port):
    port.wait_console("alive")
    before = ps(port, "resume")
    after = ps(port)
    assert list(after) == [1, 2]
    assert after[2] < before[2]
    assert ps(port, "resume")[2] > after[2]
    log = port.console_log.decode()
    # In order: the last one started is the first one stopped.
    assert log.index("instance=spinner state=killed") < log.index("instance=talker state=killed")


def test_apps_run_while_the_repl_is_busy(port, connect):
    repl = connect(port)
    steps = repl.run(
        "import hsx, time\n"
        "a = hsx.runtime().node.vm.get(2, 20)\n"
        "t = time.ticks_ms()\n"
        "while time.ticks_diff(time.ticks_ms(), t) < 300: pass\n"
        "print(hsx.runtime().node.vm.get(2, 20) - a)"
    )
    assert int(steps) > 1000


def test_a_soft_reset_is_told_from_a_reset(port, connect):
    repl = connect(port)
    assert (
        repl.run("import machine; print(machine.reset_cause() == machine.PWRON_RESET)") == "True"
    )
    repl.soft_reset()
    assert repl.run("import machine; print(machine.reset_cause() == machine.SOFT_RESET)") == "True"


@pytest.mark.sharded
@pytest.mark.parametrize("seed", range(4))
def test_a_thousand_interrupts_at_random_moments_leave_the_node_whole(seed, port, connect):
    moments = random.Random(seed)
    repl = connect(port)
    repl.run(CHECK)
    pool = int(repl.run("print(board.POOL)"))
    free = repl.run("gc.collect(); print(tidy())")
    for n in range(250):
        code = moments.choice(BUSY)
        repl.begin(code)
        repl.wait(moments.random() * 0.02)
        repl.interrupt()
        _, error = repl.end()
        assert "KeyboardInterrupt" in error, (n, code, error)
        if n % 20 == 19:
            agree, memory, _ = eval(repl.run("print(whole())"))
            assert (agree, memory) == (True, pool), (n, code)
        if n % 5 == 4:  # five loaded apps that nobody could kill any more fit beside the others
            assert repl.run("print(tidy())") == free, (n, code)
    grown = (
        "a = hsx.runtime().node.vm.get(2, 20); t = time.ticks_ms()\n"
        "while time.ticks_diff(time.ticks_ms(), t) < 5000:\n"
        "    if hsx.runtime().node.vm.get(2, 20) > a: break\n"
        "print(hsx.runtime().node.vm.get(2, 20) > a)"
    )
    assert repl.run(grown) == "True"
    assert ps_pids(repl) == [1, 2]


def ps_pids(repl) -> list[int]:
    return eval(repl.run("print([row['pid'] for row in hsx.ps()])").splitlines()[-1])
