# SPDX-License-Identifier: MIT
"""The emulator as the host's tools see it: starting, console, power cut, clear errors."""

import os
import socket

import pytest

from hsxctl.errors import ToolError
from hsxctl.simulate.qemu import FRAM_SIZE, QemuNode
from waiting import PATIENCE

pytestmark = pytest.mark.target


def test_missing_firmware_says_how_to_build_it(tmp_path):
    with pytest.raises(ToolError, match="make firmware"):
        QemuNode(tmp_path / "none.elf")


def test_missing_emulator_says_how_to_get_it(firmware, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ToolError, match="make setup"):
        QemuNode(firmware)


def test_missing_card_is_refused(firmware, tmp_path):
    with pytest.raises(ToolError, match="no SD card"):
        QemuNode(firmware, sd=tmp_path / "none.img")


def test_fram_file_of_another_size_is_refused(firmware, tmp_path):
    fram = tmp_path / "fram.bin"
    fram.write_bytes(bytes(FRAM_SIZE - 1))
    with pytest.raises(ToolError, match="131071 bytes, not 131072"):
        QemuNode(firmware, fram=fram)


def test_emulator_that_does_not_start_is_quoted(firmware):
    with pytest.raises(ToolError, match="icount"):
        QemuNode(firmware, icount=99)


def test_console_log_begins_with_the_first_byte(node):
    assert node.wait_console("state=done").startswith("[")
    assert node.console_log.startswith(b"[")


def test_text_that_does_not_come_is_an_error_with_what_came(node):
    node.wait_console("state=done")
    with pytest.raises(ToolError, match="did not say 'Godot'"):
        node.wait_console("Godot", 0.1)


def test_console_is_shown_on_its_pty(node, repl):
    handle = os.open(node.console, os.O_RDWR | os.O_NOCTTY)
    try:
        repl.run("import machine; machine.UART(1).write('shown\\n')")
        seen = b""
        while b"shown\n" not in seen:
            seen += os.read(handle, 4096)
    finally:
        os.close(handle)


def test_typing_on_the_console_reaches_the_node(node, repl):
    repl.begin(
        "import machine\n"
        "u = machine.UART(1)\n"
        "u.write('type\\n')\n"
        "got = b''\n"
        "while len(got) < 5:\n"
        "  got += u.read() or b''\n"
        "print(got)"
    )
    node.wait_console("type")
    handle = os.open(node.console, os.O_RDWR | os.O_NOCTTY)
    try:
        os.write(handle, b"hello")
        assert repl.end()[0].strip() == "b'hello'"
    finally:
        os.close(handle)


# The node's own runners must not take the bytes, and opening a UART forgets what came before.
LINES = """
import hsx, machine
hsx.runtime().links.runners.clear()
lines = (machine.UART(2), machine.UART(3))
"""
ECHO = """
for line in lines:
  while not line.any():
    pass
  line.write(bytes([line.read(1)[0] + 1]))
"""


def test_the_two_links_are_ptys_of_their_own(node, repl):
    repl.run(LINES)
    repl.begin(ECHO)
    for path, byte in ((node.uart2, b"a"), (node.uart3, b"x")):
        with open(path, "r+b", buffering=0) as port:
            port.write(byte)
            assert port.read(1) == bytes([byte[0] + 1])
    repl.end()


def test_the_two_links_can_be_sockets(power_up, connect):
    pairs = {name: socket.socketpair() for name in ("uart2", "uart3")}
    node = power_up(**{name: theirs for name, (_, theirs) in pairs.items()})
    assert (node.uart2, node.uart3) == ("", "")
    repl = connect(node)
    repl.run(LINES)
    repl.begin(ECHO)
    for ours, _ in pairs.values():
        with ours:
            ours.settimeout(PATIENCE)
            ours.sendall(b"m")
            assert ours.recv(1) == b"n"
    repl.end()


def test_console_that_nobody_reads_does_not_hold_the_node_up(node, repl):
    written = repl.run(
        "import machine\n"
        "u = machine.UART(1)\n"
        "line = b'~' * 100\n"
        "total = 0\n"
        "while total < 20000:\n"
        "  total += u.write(line) or 0\n"
        "u.write('\\nlast\\n')\n"
        "print(total)"
    )
    node.wait_console("last")
    assert node.console_log.count(b"~") == int(written)


def test_machine_counts_instructions_alike_in_every_run(power_up, connect):
    # Interrupts are off: they fall where the host's time puts them. What they had queued runs in
    # the first work(). Allocating a number takes longer or shorter, as the heap looks, and with
    # the collector off never as long as a collection.
    def count():
        printed = connect(power_up(icount=6)).run(
            "import gc, machine\n"
            "gc.disable()\n"
            "def work():\n"
            "  for i in range(2000):\n"
            "    pass\n"
            "state = machine.disable_irq()\n"
            "work()\n"
            "start = machine.mem32[0x40028018]\n"
            "work()\n"
            "end = machine.mem32[0x40028018]\n"
            "machine.enable_irq(state)\n"
            "print(end - start)"
        )
        return int(printed) * 40 // 2**6

    first, second = count(), count()
    assert first == pytest.approx(second, rel=0.01)


def test_killing_and_closing_again_does_nothing(node):
    node.kill()
    assert not node.running
    node.kill()
    node.close()


def test_console_can_be_read_after_the_end(node):
    node.wait_console("state=over")
    node.kill()
    assert b"state=over" in node.console_log
    assert node.read_console(0) == b""
