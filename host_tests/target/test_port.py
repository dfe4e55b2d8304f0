# SPDX-License-Identifier: MIT
"""The board's firmware as MicroPython: REPL, clock, timers, drivers, resets."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from waiting import PATIENCE

pytestmark = pytest.mark.target

HEAP = 98304
BLOCK = 512
# UART 2 with nobody else at it: the node has its link there.
FREE_UART = "import hsx, machine; hsx.runtime().stop(); u = machine.UART(2)"


def mpremote(*arguments):
    """The real tool, as a person starts it; returns what it prints."""
    command = [sys.executable, "-m", "mpremote", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def card(tmp_path):
    """64 numbered blocks."""
    path = tmp_path / "card, with comma.img"
    path.write_bytes(b"".join(bytes([n]) * BLOCK for n in range(64)))
    return path


@pytest.fixture
def fat_card(tmp_path):
    """A FAT image by mtools with one file, GREET.TXT."""
    image, text = tmp_path / "card.img", tmp_path / "greet.txt"
    text.write_text("hello from the card\n")
    subprocess.run(["mformat", "-C", "-i", image, "-T", "4096", "::"], check=True)
    subprocess.run(["mcopy", "-i", image, text, "::GREET.TXT"], check=True)
    return image


# REPL


def test_mpremote_resumes_the_repl(node):
    node.wait_console("state=done")
    assert mpremote("connect", node.repl, "resume", "exec", "print(6 * 7)") == "42\n"


def test_mpremote_without_resume_soft_resets_first(node):
    node.wait_console("state=done")
    code = "import machine; print(machine.reset_cause() == machine.SOFT_RESET)"
    assert mpremote("connect", node.repl, "exec", code) == "True\n"


def test_mpremote_copies_to_a_mounted_card_and_back(power_up, connect, fat_card, tmp_path):
    node = power_up(sd=fat_card)
    repl = connect(node)
    repl.run("import os, machine; os.mount(machine.SDCard(), '/card')")
    repl.close()
    sent = tmp_path / "sent.bin"
    sent.write_bytes(bytes(range(256)) * 20)
    mpremote("connect", node.repl, "resume", "fs", "cp", str(sent), ":/card/a.bin")
    mpremote("connect", node.repl, "resume", "fs", "cp", ":/card/a.bin", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == sent.read_bytes()


def test_code_larger_than_every_buffer_is_taken_whole(repl):
    text = "".join(f"{n:05}" for n in range(1000))
    assert repl.run(f"print(len('{text}'), '{text}'[-5:])") == "5000 00999"


def test_ctrl_c_ends_a_loop(node, repl):
    repl.begin("import machine\nmachine.UART(1).write('looping\\n')\nwhile True:\n  pass")
    node.wait_console("looping")
    repl.interrupt()
    assert "KeyboardInterrupt" in repl.end()[1]
    assert repl.run("print('alive')") == "alive"


def test_ctrl_c_ends_a_sleep(node, repl):
    repl.begin("import machine, time\nmachine.UART(1).write('asleep\\n')\ntime.sleep(1000)")
    node.wait_console("asleep")
    repl.interrupt()
    assert "KeyboardInterrupt" in repl.end()[1]


def test_ctrl_c_reaches_a_node_whose_input_nobody_reads(node, repl):
    repl.begin("import machine\nmachine.UART(1).write('deaf\\n')\nwhile True:\n  pass")
    node.wait_console("deaf")
    repl.transport.serial.write(b"x" * 10000)
    repl.interrupt()
    assert "KeyboardInterrupt" in repl.end()[1]


def test_ctrl_c_waits_until_a_timer_callback_is_over(node, repl):
    repl.begin(
        "import machine, time\n"
        "over = False\n"
        "def slow(timer):\n"
        "  global over\n"
        "  machine.UART(1).write('inside\\n')\n"
        "  start = time.ticks_ms()\n"
        "  while time.ticks_diff(time.ticks_ms(), start) < 300:\n"
        "    pass\n"
        "  over = True\n"
        "machine.Timer(-1, mode=machine.Timer.ONE_SHOT, period=1, callback=slow)\n"
        "while True:\n"
        "  pass\n"
    )
    node.wait_console("inside")
    repl.interrupt()
    assert "KeyboardInterrupt" in repl.end()[1]
    assert repl.run("print(over)") == "True"


def test_endless_recursion_is_an_exception(repl):
    repl.run("def f():\n  f()\ntry:\n  f()\nexcept RuntimeError as error:\n  print(error)")
    assert repl.run("print('alive')") == "alive"


# Clock and timers


@pytest.mark.parametrize(
    ("clock", "least"), [("ticks_ms", 100), ("ticks_us", 100_000), ("ticks_cpu", 2_500_000)]
)
def test_ticks_count_the_time_that_a_sleep_takes(repl, clock, least):
    passed = repl.run(
        f"import time; start = time.{clock}(); time.sleep_ms(100)\n"
        f"print(time.ticks_diff(time.{clock}(), start))"
    )
    # One millisecond of the sleep may have begun before the first reading.
    assert int(passed) >= least * 99 // 100


def test_ticks_of_all_clocks_agree(repl):
    ms, us, cycles = eval(
        repl.run(
            "import time\n"
            "def now():\n"
            "  return time.ticks_ms(), time.ticks_us(), time.ticks_cpu()\n"
            "a = now(); time.sleep_ms(500); b = now()\n"
            "print([time.ticks_diff(y, x) for x, y in zip(a, b)])"
        )
    )
    assert abs(us - ms * 1000) < 50_000
    assert abs(cycles - us * 25) < 50_000 * 25


def test_timer_runs_while_the_repl_waits(node, repl):
    repl.run(
        "import machine\n"
        "def tell(timer):\n"
        "  machine.UART(1).write('tick\\n')\n"
        "t = machine.Timer(-1, mode=machine.Timer.PERIODIC, period=5, callback=tell, hard=False)"
    )
    for _ in range(5):
        node.wait_console("tick")


def test_one_shot_timer_runs_once(node, repl):
    repl.run(
        "import machine\n"
        "count = 0\n"
        "def once(timer):\n"
        "  global count\n"
        "  count += 1\n"
        "  machine.UART(1).write('once\\n')\n"
        "t = machine.Timer(-1, mode=machine.Timer.ONE_SHOT, period=5, callback=once)"
    )
    node.wait_console("once")
    assert repl.run("import time; time.sleep_ms(50); print(count)") == "1"


def test_timer_that_was_stopped_stays_silent(repl):
    printed = repl.run(
        "import machine, time\n"
        "count = 0\n"
        "def tick(timer):\n"
        "  global count\n"
        "  count += 1\n"
        "t = machine.Timer(-1, period=2, callback=tick)\n"
        "while count < 3:\n"
        "  pass\n"
        "t.deinit()\n"
        "seen = count\n"
        "time.sleep_ms(30)\n"
        "print(count - seen)"
    )
    assert printed == "0"


def test_timer_slower_than_its_period_leaves_room_for_others(repl):
    printed = repl.run(
        "import machine, micropython, time\n"
        "slow = machine.Timer(-1, period=1, callback=lambda t: time.sleep_ms(5))\n"
        "done = []\n"
        "start = time.ticks_ms()\n"
        "while time.ticks_diff(time.ticks_ms(), start) < 50:\n"
        "  pass\n"
        "for n in range(4):\n"
        "  micropython.schedule(done.append, n)\n"
        "while len(done) < 4:\n"
        "  pass\n"
        "slow.deinit()\n"
        "print(done)"
    )
    assert printed == "[0, 1, 2, 3]"


def test_exception_in_a_callback_leaves_the_timer_running(node, repl):
    repl.begin(
        "import machine\n"
        "count = 0\n"
        "def fails(timer):\n"
        "  global count\n"
        "  count += 1\n"
        "  assert count > 2, 'as wanted'\n"
        "t = machine.Timer(-1, period=5, callback=fails)\n"
        "while count < 4:\n"
        "  pass"
    )
    assert repl.end()[0].count("AssertionError: as wanted") == 2


def test_timer_survives_garbage_collection_without_a_reference(node, repl):
    repl.run(
        "import machine, gc\n"
        "def start(n):\n"
        "  def tick(timer):\n"
        "    machine.UART(1).write('kept %d\\n' % n)\n"
        "  machine.Timer(-1, mode=machine.Timer.ONE_SHOT, period=300 + n, callback=tick)\n"
        "for n in range(5):\n"
        "  start(n)\n"
    )
    repl.run("gc.collect(); filled = [[n, n, n, n, n, n, n] for n in range(400)]; filled = None")
    for n in range(5):
        node.wait_console(f"kept {n}")


def test_hard_timer_is_refused(repl):
    repl.run(
        "import machine\n"
        "try:\n"
        "  machine.Timer(-1, period=5, callback=print, hard=True)\n"
        "except ValueError:\n"
        "  pass\n"
        "else:\n"
        "  raise AssertionError"
    )


# UARTs


def test_console_carries_every_byte_value(node, repl):
    node.read_console(0)
    repl.run("import machine; machine.UART(1).write(bytes(range(256)) + b'\\nend\\n')")
    node.wait_console("end")
    assert bytes(range(256)) in node.console_log


def test_uart_read_waits_for_nothing(repl):
    printed = repl.run(FREE_UART + "; print(u.any(), u.read(), u.read(4))")
    assert printed == "0 None None"


def test_uart_leaves_on_the_wire_what_its_ring_does_not_hold(node, repl):
    repl.run(FREE_UART)
    with open(node.uart2, "r+b", buffering=0) as port:
        assert port.write(bytes(n & 255 for n in range(4000))) == 4000
    printed = repl.run(
        "import time\n"
        "while u.any() < 2047:\n"
        "  pass\n"
        "time.sleep_ms(50)\n"
        "buf = bytearray(100)\n"
        "count = wrong = 0\n"
        "while count < 4000:\n"
        "  for i in range(u.readinto(buf) or 0):\n"
        "    wrong += buf[i] != count & 255\n"
        "    count += 1\n"
        "print(count, wrong)"
    )
    assert printed == "4000 0"


def test_uart_write_takes_what_fits_and_returns(node, repl):
    # Nobody reads UART 2: the pty fills, then the ring, then a write takes nothing.
    taken = int(
        repl.run(
            f"{FREE_UART}\n"
            "total = 0\n"
            "for i in range(200):\n"
            "  taken = u.write(b'%08d' % i * 64) or 0\n"
            "  total += taken\n"
            "  if taken < 512:\n"
            "    break\n"  # the emulator may find more room in the pty a little later
            "print(total)"
        )
    )
    assert 4096 <= taken < 200 * 512
    got = b""
    with open(node.uart2, "r+b", buffering=0) as port:
        while len(got) < taken:
            got += port.read(4096)
    assert got == b"".join(b"%08d" % n * 64 for n in range(200))[:taken]


def test_uart_without_receiver_keeps_silent_after_deinit(repl):
    assert repl.run(FREE_UART + "; u.deinit(); print(u.any())") == "0"


def test_uart_that_does_not_exist_is_refused(repl):
    for wrong in (-1, 0, 5):
        repl.run(
            "import machine\n"
            f"try:\n  machine.UART({wrong})\nexcept ValueError:\n  pass\n"
            "else:\n  raise AssertionError"
        )


# I2C FRAM


BUSES = {
    "I2C": "machine.I2C(0)",
    "SoftI2C": "machine.SoftI2C(scl=machine.Pin('SCL'), sda=machine.Pin('SDA'))",
}


@pytest.mark.parametrize("bus", BUSES.values(), ids=BUSES)
def test_fram_survives_a_power_cut(power_up, connect, tmp_path, bus):
    fram = tmp_path / "fram.bin"
    node = power_up(fram=fram)
    connect(node).run(
        f"import machine; i = {bus}\n"
        "i.writeto_mem(0x50, 0x1234, b'low half', addrsize=16)\n"
        "i.writeto_mem(0x51, 0xfffe, b'ab', addrsize=16)"
    )
    node.kill()
    content = fram.read_bytes()
    assert content[0x1234 : 0x1234 + 8] == b"low half"
    assert content[0x1FFFE:] == b"ab"
    again = connect(power_up(fram=fram))
    printed = again.run(
        f"import machine; i = {bus}\n"
        "print(i.readfrom_mem(0x50, 0x1234, 8, addrsize=16))\n"
        "print(i.readfrom_mem(0x51, 0xfffe, 2, addrsize=16))"
    )
    assert printed == "b'low half'\nb'ab'"


def test_new_fram_is_blank(power_up, connect, tmp_path):
    repl = connect(power_up(fram=tmp_path / "fram.bin"))
    printed = repl.run(
        "import machine; i = machine.I2C(0)\n"
        "buf = bytearray(256)\n"
        "i.readfrom_mem_into(0x51, 0x8000, buf, addrsize=16)\n"
        "print(i.scan(), buf == b'\\xff' * 256)"
    )
    assert printed == "[80, 81] True"


def test_fram_transfer_from_pieces_is_one_transfer(power_up, connect, tmp_path):
    repl = connect(power_up(fram=tmp_path / "fram.bin"))
    printed = repl.run(
        "import machine; i = machine.I2C(0)\n"
        "print(i.writevto(0x50, (b'\\x00\\x10', b'abc', b'def')))\n"
        "print(i.readfrom_mem(0x50, 0x10, 6, addrsize=16))"
    )
    assert printed == "8\nb'abcdef'"


def test_absent_fram_is_enodev(repl):
    repl.run(
        "import machine\n"
        "try:\n  machine.I2C(0).readfrom_mem(0x50, 0, 1, addrsize=16)\n"
        "except OSError as error:\n  assert error.errno == 19\n"
        "else:\n  raise AssertionError"
    )


# SD card


def raises_os_error(number, code):
    return (
        f"try:\n  {code}\n"
        f"except OSError as error:\n  assert error.errno == {number}, error.errno\n"
        "else:\n  raise AssertionError"
    )


def test_card_blocks_are_the_file(power_up, connect, card):
    repl = connect(power_up(sd=card))
    printed = repl.run(
        "import machine; sd = machine.SDCard(); buf = bytearray(1024)\n"
        "sd.readblocks(7, buf)\n"
        "print(sd.ioctl(4, 0), sd.ioctl(5, 0), buf[511], buf[512])"
    )
    assert printed == "64 512 7 8"


def test_written_blocks_survive_a_power_cut(power_up, connect, card):
    node = power_up(sd=card)
    connect(node).run("import machine; machine.SDCard().writeblocks(9, b'x' * 512)")
    node.kill()
    content = card.read_bytes()
    assert content[9 * BLOCK : 10 * BLOCK] == b"x" * BLOCK
    assert content[8 * BLOCK : 9 * BLOCK] == bytes([8]) * BLOCK
    assert content[10 * BLOCK : 11 * BLOCK] == bytes([10]) * BLOCK


def test_blocks_beyond_the_card_are_eio(power_up, connect, card):
    repl = connect(power_up(sd=card))
    repl.run("import machine; sd = machine.SDCard(); buf = bytearray(1024)")
    repl.run(raises_os_error(5, "sd.readblocks(63, buf)"))
    repl.run(raises_os_error(5, "sd.writeblocks(64, memoryview(buf)[:512])"))
    repl.run(raises_os_error(22, "sd.readblocks(-1, buf)"))
    repl.run(raises_os_error(22, "sd.readblocks(0, memoryview(buf)[:100])"))


def test_card_that_breaks_off_is_eio(power_up, connect, card):
    repl = connect(power_up(sd=card))
    repl.run("import machine; sd = machine.SDCard(); buf = bytearray(512)")
    with card.open("r+b") as file:
        file.truncate(10 * BLOCK + 100)
    repl.run("sd.readblocks(9, buf)")
    repl.run(raises_os_error(5, "sd.readblocks(10, buf)"))


def test_empty_slot_is_enodev(repl):
    repl.run("import machine")
    repl.run(raises_os_error(19, "machine.SDCard()"))


def test_card_taken_out_is_enodev_until_it_is_looked_for(power_up, connect, card):
    repl = connect(power_up(sd=card))
    repl.run("import machine; sd = machine.SDCard(); buf = bytearray(512); sd.deinit()")
    repl.run(raises_os_error(19, "sd.readblocks(0, buf)"))
    assert repl.run("machine.SDCard().readblocks(3, buf); print(buf[0])") == "3"


def test_card_of_mtools_mounts_and_is_written(power_up, connect, fat_card):
    node = power_up(sd=fat_card)
    printed = connect(node).run(
        "import os, machine\n"
        "os.mount(machine.SDCard(), '/card')\n"
        "print(os.listdir('/card'), open('/card/greet.txt').read().strip())\n"
        "with open('/card/a long name.bin', 'wb') as f:\n"
        "  f.write(bytes(range(256)) * 8)\n"
        "os.umount('/card')"
    )
    assert printed == "['GREET.TXT'] hello from the card"
    node.kill()
    listing = ["mcopy", "-n", "-i", fat_card, "::a long name.bin", "-"]
    done = subprocess.run(listing, check=True, capture_output=True)
    assert done.stdout == bytes(range(256)) * 8


# Resets


def cause_of(repl):
    return repl.run(
        "import machine\n"
        "for name in ('PWRON_RESET', 'HARD_RESET', 'SOFT_RESET', 'FAULT_RESET'):\n"
        "  if getattr(machine, name) == machine.reset_cause():\n"
        "    print(name)"
    )


def test_power_up_is_a_power_on_reset(power_up, connect):
    node = power_up()
    assert cause_of(connect(node)) == "PWRON_RESET"
    node.kill()
    assert cause_of(connect(power_up())) == "PWRON_RESET"


def test_soft_reset_is_told_apart(repl):
    repl.soft_reset()
    assert cause_of(repl) == "SOFT_RESET"


def test_machine_soft_reset_boots_python_anew(node, repl):
    repl.begin("import machine; machine.soft_reset()")
    repl.await_prompt()
    assert cause_of(repl) == "SOFT_RESET"


def test_machine_reset_is_a_hard_reset(node, repl):
    repl.begin("import machine; machine.reset()")
    node.wait_console("state=done")
    repl.enter()
    assert cause_of(repl) == "HARD_RESET"


def test_hard_reset_after_a_soft_one_is_hard(node, repl):
    repl.soft_reset()
    repl.begin("import machine; machine.reset()")
    node.wait_console("state=done")
    node.wait_console("state=done")
    repl.enter()
    assert cause_of(repl) == "HARD_RESET"


def test_reset_that_the_firmware_did_not_ask_for_is_hard(node, repl):
    repl.begin("import machine; machine.mem32[0xf0000000]")
    node.wait_console("state=done")
    repl.enter()
    repl.begin("import machine; machine.mem32[0xe000ed0c] = 0x05fa0004")
    node.wait_console("state=done")
    repl.enter()
    assert cause_of(repl) == "HARD_RESET"


OVERFLOW = """
@micropython.asm_thumb
def overflow():
    label(AGAIN)
    push({r0})
    b(AGAIN)
overflow()
"""


@pytest.mark.parametrize(
    ("crash", "sign"),
    [("import machine; machine.mem32[0xf0000000]", " pc="), (OVERFLOW, " sp=200003")],
    ids=["no such device", "page below the stack"],
)
def test_fault_is_reported_and_resets(node, repl, crash, sign):
    repl.begin(crash)
    node.wait_console("state=done")
    said = repl.transport.serial.read_until(b"resetting").decode(errors="replace")
    assert "FAULT" in said and sign in said
    repl.enter()
    assert cause_of(repl) == "FAULT_RESET"


def test_soft_reset_calls_the_exit_function_before_boot_code(node, repl):
    repl.run(
        "import sys, machine\n"
        "before = sys.atexit(lambda: (machine.UART(1).write('exiting\\n'), before and before()))"
    )
    node.read_console(0)
    repl.soft_reset()
    said = node.wait_console("state=done")
    assert said.index("exiting") < said.index("state=started")


def test_failing_exit_function_does_not_stop_the_reset(repl):
    repl.run("import sys\nkept = 1\nsys.atexit(lambda: 1 // 0)")
    repl.soft_reset()
    assert repl.run("print('kept' in globals())") == "False"


def test_soft_reset_stops_timers_and_forgets_variables(node, repl):
    repl.run(
        "import machine\n"
        "t = machine.Timer(-1, period=2, callback=lambda t: machine.UART(1).write('tick\\n'))"
    )
    node.wait_console("tick")
    repl.soft_reset()
    node.wait_console("state=done")
    node.read_console(0)
    repl.run("import time; time.sleep_ms(50)")
    assert b"tick" not in node.read_console(0)


def open_files(node):
    """What the emulator holds open."""
    return [os.readlink(link) for link in Path(f"/proc/{node.pid}/fd").iterdir()]


def test_card_is_open_once_however_often_the_machine_resets(power_up, connect, card):
    node = power_up(sd=card)
    repl = connect(node)
    for _ in range(20):
        repl.begin("import machine; machine.SDCard(); machine.reset()")
        node.wait_console("state=done")
        repl.enter()
    repl.run("import machine; machine.SDCard()")
    assert open_files(node).count(str(card)) == 1


# Memory and modules


def test_heap_is_that_of_the_smallest_board(repl):
    total = int(repl.run("import gc; print(gc.mem_free() + gc.mem_alloc())"))
    assert HEAP * 97 // 100 < total < HEAP


def test_heap_that_is_used_up_is_an_exception(repl):
    repl.run(
        "try:\n  bytearray(90000)\nexcept MemoryError:\n  pass\nelse:\n  raise AssertionError"
    )
    assert repl.run("print('alive')") == "alive"


def test_modules_that_the_package_needs_are_built_in(repl):
    repl.run("import array, binascii, gc, io, json, os, select, struct, sys, time, hashlib, math")


def test_sha256_is_the_hosts(repl):
    printed = repl.run(
        "import hashlib, binascii; h = hashlib.sha256()\n"
        "for i in range(100):\n  h.update(bytes(range(i)))\n"
        "print(binascii.hexlify(h.digest()).decode())"
    )
    assert printed == hashlib.sha256(b"".join(bytes(range(n)) for n in range(100))).hexdigest()


def test_json_is_the_hosts(repl):
    value = {"a": [1, 2.5, None, True], "b": {"c": "text"}}
    assert json.loads(repl.run(f"import json; print(json.dumps({value!r}))")) == value


def test_floats_are_single_precision(repl):
    assert repl.run("print(16777216.0 + 1.0 == 16777216.0)") == "True"


def test_scheduler_holds_eight(repl):
    printed = repl.run(
        "import micropython, machine\n"
        "got = []\n"
        "def fill(_):\n"
        "  for n in range(8):\n"
        "    try:\n"
        "      micropython.schedule(got.append, n)\n"
        "    except RuntimeError:\n"
        "      break\n"
        "micropython.schedule(fill, None)\n"
        "while len(got) < 7:\n"
        "  pass\n"
        "print(len(got) >= 7)"
    )
    assert printed == "True"


def test_identity_of_the_board(repl):
    printed = repl.run(
        "import machine, sys; print(sys.platform, machine.freq(), len(machine.unique_id()))"
    )
    assert printed == "qemu_m4 25000000 7"


def test_a_machine_calls_itself_what_the_host_says(power_up, connect):
    repl = connect(power_up(uid="pump7"))
    assert repl.run("import machine; print(machine.unique_id())") == "b'pump7'"


def test_an_interrupt_that_was_held_back_comes_to_the_main_program(repl):
    code = "import hsxvm\ntry:\n hsxvm.interrupt()\n for _ in range(9): pass\n print('nothing')\n"
    assert repl.run(code + "except KeyboardInterrupt:\n print('raised')") == "raised"
