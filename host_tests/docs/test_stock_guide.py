# SPDX-License-Identifier: MIT
"""docs/stock_firmware.md: its board.py makes a node, over the simulated machine. What the page
says of packages is followed by host_tests/stock, on stock builds."""

import ast
import sys
from pathlib import Path
from types import ModuleType

import pytest

import hsx
from bench.images import SLEEP, SPIN, an_image, ldi
from docs.console import blocks, commands
from fakes import machine
from hsx.boot import clock
from hsx.link import command
from hsx.link.uart_master import IDLE, UartMaster
from hsxctl.bank_image import bank_image, describe
from hsxctl.signed_command import signed

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs/stock_firmware.md"
PUMP = an_image(ldi(0, 50), SLEEP, SPIN, rodata=bytes(1500), name="pump")
LINE = 12  # bytes in 1 ms, at 115,200 bit/s


def names(tree: ast.AST) -> set[str]:
    """What a module or class defines at its top."""
    found = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
    return found


def asked() -> set[str]:
    tree = ast.parse((ROOT / "firmware/hsx/contracts.pyi").read_text())
    classes = {node.name: names(node) for node in tree.body if isinstance(node, ast.ClassDef)}
    return classes["Board"] | classes["Slot"]


def test_the_stock_board_has_all_that_a_node_asks_of_one():
    assert asked() <= names(ast.parse((ROOT / "boards/stock/stock.py").read_text()))


def example() -> str:
    (found,) = blocks(GUIDE, "python")
    return found


def test_the_board_of_the_guide_names_nothing_that_nobody_asks_for():
    assert "from stock import *" in example()
    assert names(ast.parse(example())) <= asked()


@pytest.fixture
def power_up(tmp_path, monkeypatch):
    """Starts the node of the guide's board.py, as `import hsx` and `hsx.start()` do; gives its
    UART. Each call is a new life with the same file."""

    def start(cause: int) -> machine.UART:
        monkeypatch.setattr(clock, "time", machine.sim_power_on(cause=cause))
        monkeypatch.setattr(hsx, "_kept", [])
        made.clear()
        for name, code in sources.items():
            module = ModuleType(name)
            monkeypatch.setitem(sys.modules, name, module)
            exec(code, vars(module))
        assert hsx.start() is None
        (uart,) = made
        return uart

    def opened(*arguments, **options):
        made.append(uart(*arguments, **options))
        return made[-1]

    uart, made = machine.UART, []
    stock = (ROOT / "boards/stock/stock.py").read_text()
    assert '"/hsx.fram"' in example()
    board = example().replace('"/hsx.fram"', repr(str(tmp_path / "hsx.fram")))
    sources = {"stock": stock, "board": board}
    monkeypatch.setitem(sys.modules, "machine", machine)
    monkeypatch.setattr(machine, "UART", opened)
    monkeypatch.setattr(clock, "HAS_TIME", True)
    yield start
    hsx.runtime().stop()


def test_the_board_of_the_guide_takes_a_set_by_its_uart_and_keeps_it(power_up):
    uart = power_up(machine.PWRON_RESET)
    assert hsx.runtime().service.KEEPS_SETS
    hsx.format("erase everything")
    sent = bank_image([(describe("", PUMP), PUMP)])
    header = signed(
        None, command.STAGE, sent.digest, total=len(sent.data), flags=command.FLAG_ACTIVATE
    )
    assert send(uart, header, sent.data) == "done"
    assert uart.sim_lost == 0
    machine.sim_clock().sleep_ms(100)
    assert [task["app_name"] for task in hsx.ps()] == ["pump"]
    hsx.confirm()
    hsx.runtime().stop()

    power_up(machine.HARD_RESET)
    (task,) = hsx.ps()
    assert task["app_name"] == "pump" and task["program"].startswith("FRAM:")


def send(uart: machine.UART, header: bytes, data: bytes) -> str:
    """A host's transfer, byte by byte as the line carries it; how it ended."""
    host, sim, read, waiting = UartMaster(lambda: 5), machine.sim_clock(), 0, b""
    host.begin(header, data)
    while host.phase != IDLE:
        waiting = waiting or bytes(host.output(sim.ticks_ms()) or b"")
        uart.sim_receive(waiting[:LINE])
        waiting = waiting[LINE:]
        sim.sleep_ms(1)
        host.receive(bytes(uart.sim_sent[read:]), sim.ticks_ms())
        read = len(uart.sim_sent)
        host.poll(sim.ticks_ms())
    return host.outcome


def test_all_commands_of_the_guide_are_known_here_and_followed_on_stock_builds():
    followed = ("make natmod", "mip install", "exec ", "romfs query", "romfs deploy")
    listed = [one for block in blocks(GUIDE, "sh") for one in commands(block)]
    assert len(listed) == len(followed)
    for words, one in zip(followed, listed, strict=True):
        assert words in one
