# SPDX-License-Identifier: MIT
"""What the unix port does as a board does: timer, REPL beside apps, Ctrl-C, card."""

import os
import signal
import subprocess

import pytest

from bench.images import SLEEP, SPIN, UART_WRITE, an_image, ldi, ldi32
from hsxctl import fat_image
from hsxctl.simulate.unix import UnixNode, command
from waiting import PATIENCE

pytestmark = pytest.mark.sim

TALKER = an_image(
    *(*ldi32(1, 0x4000), ldi(2, 6), UART_WRITE, ldi(0, 20), SLEEP, SPIN),
    rodata=b"alive\n",
    name="talker",
)
SPINNER = an_image(SPIN, name="spinner")
MANIFEST = b"""schema = 1
[[image]]
file = "talker.hxe"
[[image]]
file = "spinner.hxe"
"""


@pytest.fixture
def card(tmp_path):
    """A card whose apps talk and spin."""
    path = tmp_path / "card.img"
    files = [("talker.hxe", TALKER), ("spinner.hxe", SPINNER), ("hsx.toml", MANIFEST)]
    fat_image.write(path, fat_image.SMALLEST, files)
    return path


@pytest.mark.requirement("P-103")
def test_a_node_boots_from_its_card_and_its_apps_run_until_it_is_ended(program, card):
    with UnixNode(program, sd=card) as node:
        shown = b""
        while shown.count(b"talker> alive") < 3:
            text = node.read_console(10)
            assert text, shown
            shown += text
        shown += node.end()
        assert not node.running
    lines = shown.decode().split("\r\n")
    assert any("listed=2 source=SD started=2 state=done" in line for line in lines)
    assert [line.split()[-2:] for line in lines[-3:-1]] == [
        ["instance=spinner", "state=killed"],
        ["instance=talker", "state=killed"],
    ]


def test_a_node_without_a_card_boots_and_says_so(script):
    assert script("import boot, hsx\nprint(len(hsx.ps()))").split()[-1] == "0"
    assert "ENODEV" in script("import boot, hsx\nhsx.log()")


def test_apps_run_while_the_main_program_computes_or_sleeps(script, card):
    text = """
import boot, hsx, time
def steps():
    return hsx.runtime().node.vm.get(2, 20)
a = steps()
t = time.ticks_ms()
while time.ticks_diff(time.ticks_ms(), t) < 200: pass
b = steps()
time.sleep_ms(200)
print(b - a, steps() - b)
"""
    computed, slept = map(int, script(text, card).split())
    assert computed > 1000
    assert slept > 1000


def test_apps_run_while_the_repl_waits_for_a_key(program, card):
    ours, theirs = os.openpty()
    line = command(program, "import boot", card)
    line.insert(1, "-i")
    process = subprocess.Popen(line, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE)
    try:
        seen = b""
        while b">>> " not in seen:
            seen += os.read(ours, 1024)
        for _ in range(3):
            while b"talker> alive" not in (said := process.stderr.readline()):
                assert said, "the node ended"
        os.write(ours, b"6 * 7\r")
        while b"42" not in seen:
            seen += os.read(ours, 1024)
    finally:
        process.kill()
        process.communicate()
        os.close(ours)
        os.close(theirs)


def test_a_slow_callback_leaves_the_main_program_its_share(script):
    text = """
import ticker, time
calls = []
def slow(_):
    calls.append(1)
    t = time.ticks_ms()
    while time.ticks_diff(time.ticks_ms(), t) < 20: pass
ticker.start(1, slow)
for n in range(1000): pass
while len(calls) < 5: pass
ticker.stop()
count = len(calls)
time.sleep_ms(50)
print(len(calls) == count)
"""
    assert script(text) == "True\n"


def test_ctrl_c_waits_until_a_callback_is_over(program):
    text = """
import board, ticker, time
console = board.console()
seen = []
def callback(_):
    ticker.stop()
    print("inside")
    t = time.ticks_ms()
    while time.ticks_diff(time.ticks_ms(), t) < 300: console.write(".")
    seen.append(1)
ticker.start(1, callback)
try:
    while True: pass
except KeyboardInterrupt:
    print(seen)
"""
    process = subprocess.Popen(
        command(program, text), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout.readline() == "inside\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=PATIENCE)[0] == "[1]\n"
    finally:
        process.kill()
        process.wait()


def test_a_console_that_nobody_reads_loses_text_and_holds_nothing_up(program):
    text = """
import board
console = board.console()
for n in range(10000): console.write("nobody reads this line\\r\\n")
print("done")
"""
    process = subprocess.Popen(
        command(program, text), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "done\n"
        kept = process.communicate(timeout=PATIENCE)[1]
    finally:
        process.kill()
        process.wait()
    assert kept.startswith("nobody reads this line\n")
    assert len(kept) < 10000 * 23


def test_an_error_in_a_callback_is_shown_and_does_not_end_the_timer(script):
    text = """
import ticker
seen = []
def callback(_):
    seen.append(1)
    raise ValueError(len(seen))
ticker.start(1, callback)
while len(seen) < 3: pass
"""
    assert "ValueError: 3" in script(text)


def test_no_callback_runs_inside_a_read_of_the_card(script, card):
    # FAT code that is entered twice would mix up the sectors that it keeps.
    text = """
import board, micropython
card = board.sdcard()
buf = bytearray(512)
seen = []
micropython.schedule(seen.append, 1)
card.readblocks(0, buf)
sectors = card.ioctl(4, 0)
inside = len(seen)
for n in range(2): pass
print(inside, len(seen), buf[510:] == b"\\x55\\xaa", sectors)
"""
    assert script(text, card).split() == ["0", "1", "True", str(fat_image.SMALLEST // 512)]


def test_files_are_listed_while_a_callback_reads_the_same_card(script, card):
    text = """
import board, os, ticker, time
board.mount_sdcard("/sd")
expected = sorted(os.listdir("/sd"))
read = []
def callback(_):
    with open("/sd/talker.hxe", "rb") as file:
        read.append(len(file.read()))
ticker.start(1, callback)
same = lists = 0
t = time.ticks_ms()
while time.ticks_diff(time.ticks_ms(), t) < 500:
    same += sorted(os.listdir("/sd")) == expected
    lists += 1
ticker.stop()
print(same == lists, len(read) > 10, set(read), expected)
"""
    expected = f"True True {{{len(TALKER)}}} ['hsx.toml', 'spinner.hxe', 'talker.hxe']\n"
    assert script(text, card) == expected
