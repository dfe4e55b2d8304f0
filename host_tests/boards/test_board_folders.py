# SPDX-License-Identifier: MIT
"""Each STM32 board's folder, checked without hardware and without ST's HAL (tools/boardcheck)."""

import errno
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import files
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import boardcheck
import hsxvm
from boardcheck import ROOT, Board
from fakes import machine, pyb
from fakes.fram import Fram
from fakes.sdcard import SDCard

_CACHE = Path(os.environ.get("CACHE", ROOT / ".cache"))
MICROPYTHON = Path(os.environ.get("MICROPYTHON_DIR", _CACHE / "micropython-1.25.0"))
BOARDS = ROOT / "docs" / "boards.md"
# Each folder with a part of a board's configuration, so that none is forgotten, half-made or not.
NAMES = sorted(
    {
        path.parent.name
        for part in ("board.json", "mpconfigboard.*")
        for path in (ROOT / "boards").glob(f"*/{part}")
    }
)
pytestmark = pytest.mark.xdist_group("boards")


@pytest.fixture(scope="module", params=NAMES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Board:
    work = tmp_path_factory.mktemp(request.param)
    return Board(ROOT / "boards" / request.param, MICROPYTHON, work)


@pytest.mark.parametrize("check", boardcheck.CHECKS, ids=lambda check: check.__name__)
def test_board_folder_passes(folder: Board, check: "Callable[[Board], list[str]]") -> None:
    assert check(folder) == []


@pytest.mark.requirement("P-92b")
def test_sizes_name_the_share_of_micropython(folder: Board) -> None:
    found = boardcheck.sizes(folder)
    assert folder.facts["micropython"]["source"]
    assert found["micropython_flash"] > found["native"]


# ---- each check sees its mistake --------------------------------------------------------------


def changed(folder: Path, file: str, old: str, new: str, tmp_path: Path) -> Board:
    """PYBV11 in a place of its own, with one text changed."""
    (tmp_path / "firmware").symlink_to(ROOT / "firmware")
    shutil.copytree(ROOT / "boards" / "stm32", tmp_path / "boards" / "stm32")
    copy = tmp_path / "boards" / "PYBV11"
    shutil.copytree(folder, copy)
    text = (copy / file).read_text()
    assert old in text
    (copy / file).write_text(text.replace(old, new))
    return Board(copy, MICROPYTHON, tmp_path / "work")


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("board.py", '"PB6"', '"PB5"', "PB5 cannot be I2C1_SCL"),
        ("board.py", '"PB9"', '"PA12"', "mpconfigboard.h has pin_B9, board.py PA12"),
        ("board.py", '"PB9"', '"PB8"', "PB8 is CAN1_TX and CAN1_RX"),
        ("board.py", '"PB9"', '"PK9"', "PK9 (CAN1_TX) is not in pins.csv"),
        ("board.py", '"PC6"', '"PA2"', "PA2 cannot be UART6_TX"),
    ],
)
def test_wrong_pin_is_seen(tmp_path: Path, file: str, old: str, new: str, said: str) -> None:
    board = changed(ROOT / "boards" / "PYBV11", file, old, new, tmp_path)
    assert any(said in line for line in boardcheck.check_pins(board))


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("mpconfigboard.h", '#include "../stm32/node.h"', "", "mounts the card"),
        ("board.py", 'NAME = "PYBV11"', 'NAME = "OTHER"', "NAME is not PYBV11"),
        ("board.py", "# What is", 'BOOT = (("watchdog_ms", 90_000),)\n\n# What is', "watchdog_ms"),
    ],
)
def test_wrong_configuration_is_seen(
    tmp_path: Path, file: str, old: str, new: str, said: str
) -> None:
    board = changed(ROOT / "boards" / "PYBV11", file, old, new, tmp_path)
    assert any(said in line for line in boardcheck.check_config(board))


def test_a_module_that_lacks_what_the_node_needs_is_seen(tmp_path: Path) -> None:
    board = ROOT / "boards" / "PYBV11"
    node = '#include "../stm32/node.h"'
    lost = node + "\n#undef MICROPY_PY_DEFLATE\n#define MICROPY_PY_DEFLATE (0)"
    found = boardcheck.check_modules(changed(board, "mpconfigboard.h", node, lost, tmp_path))
    assert found == ["mpconfigboard.h: leaves binascii.crc32 out"]


# ---- board.py runs ----------------------------------------------------------------------------


class Links:
    """What a board asks for engines."""

    def uart(self, name: str, chunk: int = 1024, backlog: int = 1048) -> Any:
        return SimpleNamespace(name=name, chunk=chunk, backlog=backlog)

    def can(self, name: str, frames: int = 72, bitrate: int = 500_000) -> Any:
        return SimpleNamespace(name=name, bitrate=bitrate, frame=None)


@pytest.fixture(params=NAMES)
def module(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ModuleType]:
    """board.py of each board, over the simulated machine."""
    machine.sim_power_on()
    for name, fake in (("machine", machine), ("pyb", pyb)):
        monkeypatch.setitem(sys.modules, name, fake)
    monkeypatch.setattr(time, "sleep_us", machine.sim_clock().sleep_us, raising=False)
    shared = load(monkeypatch, "stm32", ROOT / "boards" / "stm32" / "stm32.py")
    assert shared
    yield load(monkeypatch, "board", ROOT / "boards" / request.param / "board.py")


def load(monkeypatch: pytest.MonkeyPatch, name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def i2c(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> machine.I2C:
    """The bus of the board's FRAM, with that on it."""
    bus = machine.I2C(1)
    for address in module.FRAM[1]:
        bus.sim_attach(Fram(address))
    for name in ("I2C", "SoftI2C"):
        monkeypatch.setattr(machine, name, lambda *arguments, **options: bus)
    return bus


def test_board_finds_its_fram(module: ModuleType, i2c: machine.I2C) -> None:
    _, addresses, size = module.FRAM
    region = module.fram()
    assert region.size == size * len(addresses)
    region.write(size - 1, b"ab")
    buf = bytearray(2)
    region.readinto(size - 1, buf)
    assert buf == b"ab"


def test_board_without_its_fram_says_so(module: ModuleType) -> None:
    with pytest.raises(OSError, match="no device acknowledges"):
        module.fram()


# Clock of the bus by part, and what its register means (RM0090 27.6.8, RM0440 41.4.10: both
# filters take 50 ns, and the clock is seen two cycles later).
def hertz_of_ccr(register: int) -> float:
    return 42e6 / ((register & 0xFFF) * (25 if register & 0x4000 else 3))


def hertz_of_timingr(register: int, clock: float) -> float:
    tick = ((register >> 28) + 1) / clock
    halves = (register & 0xFF) + (register >> 8 & 0xFF) + 2
    return 1 / (halves * tick + 2 * (50e-9 + 2 / clock))


# By board: the bus, its register (the manuals' memory maps), and that.
FRAM_HERTZ = {
    "PYBV11": (1, 0x4000_541C, hertz_of_ccr),
    "NUCLEO_F446RE": (2, 0x4000_581C, hertz_of_ccr),
    "NUCLEO_H743ZI": (1, 0x4000_5410, lambda register: hertz_of_timingr(register, 100e6)),
}


def test_the_clock_of_the_fram_is_what_the_documents_say(
    module: ModuleType, i2c: machine.I2C
) -> None:
    module.fram()
    if module.NAME not in FRAM_HERTZ:
        assert not machine.mem32  # software drives the bus
        return
    bus, register, hertz = FRAM_HERTZ[module.NAME]
    assert (bus, register) == (module.FRAM[0], module.FRAM_CLOCK[0])
    assert machine.mem32[register] == module.FRAM_CLOCK[1]
    assert 390_000 < hertz(machine.mem32[register]) <= 401_000


def held(module: ModuleType, clocks: int | None) -> None:
    pins = dict(module.PINS)
    bus = module.FRAM[0]
    machine.sim_hold(pins[f"I2C{bus}_SCL"][1:], pins[f"I2C{bus}_SDA"][1:], clocks)


@pytest.mark.parametrize("clocks", range(1, 10))
def test_a_fram_that_a_reset_left_in_a_read_is_found(
    module: ModuleType, i2c: machine.I2C, clocks: int
) -> None:
    held(module, clocks)
    assert module.fram().size > 0


def test_a_bus_that_is_held_down_for_ever_is_told(module: ModuleType, i2c: machine.I2C) -> None:
    held(module, None)
    with pytest.raises(OSError) as caught:
        module.fram()
    assert caught.value.errno == errno.ETIMEDOUT


def test_a_fram_that_holds_the_bus_in_operation_is_read_all_the_same(
    module: ModuleType, i2c: machine.I2C
) -> None:
    region = module.fram()
    region.write(0, b"kept")
    held(module, 5)
    buf = bytearray(4)
    region.readinto(0, buf)
    assert buf == b"kept"


def test_board_offers_a_line_and_a_bus(module: ModuleType) -> None:
    uart, can = module.links(Links())
    assert uart.engine.name == "UART:" + port_of(module)
    uart.open()
    can.open()
    assert can.stats()["received"] == 0
    uart.close()
    can.close()


def stub(name: str) -> "dict[str, int]":
    """The whole numbers of a module of micropython-stm32-stubs."""
    (file,) = [file for file in files("micropython-stm32-stubs") or [] if str(file) == name]
    found = re.findall(r"^(\w+): Final\[int\] = (\d+)", file.read_text(), re.M)
    return {key: int(value) for key, value in found}


def port_of(module: ModuleType) -> str:
    """Number of the UART that PINS wires."""
    return next(
        signal[4] for signal, _ in module.PINS if signal.endswith("_TX") and signal[0] == "U"
    )


@pytest.mark.parametrize(
    ("cause", "name"),
    [
        (machine.SOFT_RESET, "soft"),
        (machine.PWRON_RESET, "power-on"),
        (machine.WDT_RESET, "watchdog"),
        (machine.HARD_RESET, "hard"),
    ],
)
def test_reset_cause_and_identity_are_the_parts_own(
    module: ModuleType, cause: int, name: str
) -> None:
    machine.sim_power_on(cause=cause)
    assert module.reset_cause() == name
    assert module.unique_id() == machine.unique_id()


def test_a_word_outlives_every_reset_but_the_loss_of_power(module: ModuleType) -> None:
    machine.sim_power_on()
    assert module.kept() == 0
    module.keep(0x2ABCDEF1)
    assert machine.mem32[module.KEPT] == 0x2ABCDEF1
    for cause in (machine.SOFT_RESET, machine.WDT_RESET, machine.HARD_RESET):
        machine.sim_power_on(cause=cause)
        assert module.kept() == 0x2ABCDEF1
    machine.sim_power_on()
    assert module.kept() == 0


def test_a_backup_register_is_where_the_part_has_it(folder: Board) -> None:
    stm = stub("stm.pyi")  # of an F4
    registers = {
        "f4": stm["RTC"] + stm["RTC_BKP0R"],
        # By ST's stm32g474xx.h and stm32h743xx.h: TAMP_BASE and RTC_BASE, and BKP0R there.
        "g4": 0x4000_2400 + 0x100,
        "h7": 0x5800_4000 + 0x50,
    }
    assert folder.module["KEPT"] == registers[folder.make["MCU_SERIES"]]


def test_the_button_asks_for_the_safe_mode(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not module.safe_pin()
    monkeypatch.setattr(pyb.Switch, "sim_pressed", True)
    assert module.safe_pin()
    monkeypatch.delattr(pyb, "Switch")
    assert not module.safe_pin()


def test_a_node_that_hangs_is_reset_by_the_watchdog(module: ModuleType) -> None:
    clock = machine.sim_power_on()
    (ms,) = [value for name, value in module.BOOT if name == "watchdog_ms"]
    dog = module.watchdog(ms)
    clock.sleep_ms(ms - 1)
    dog.feed()
    clock.sleep_ms(ms - 1)
    with pytest.raises(machine.Reset):
        clock.sleep_ms(2)
    assert module.watchdog(60_000)  # what the part can't do is cut, not refused


def test_a_timer_turns_until_it_is_ended(module: ModuleType) -> None:
    clock = machine.sim_power_on()
    turns: list[object] = []
    timer = module.timer(10, turns.append)
    clock.sleep_ms(1000)
    assert len(turns) == 100
    timer.deinit()
    clock.sleep_ms(1000)
    assert len(turns) == 100


def test_flash_is_where_micropython_has_mounted_it(module: ModuleType, tmp_path: Path) -> None:
    module.mount_flash(str(tmp_path))
    with pytest.raises(OSError):
        module.mount_flash(str(tmp_path / "none"))


def test_text_leaves_without_waiting(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    ports = []
    uart = machine.UART
    monkeypatch.setattr(machine, "UART", lambda *setup: ports.append(uart(*setup)) or ports[-1])
    clock = machine.sim_clock()
    before = clock.ticks_ms()
    stream = module.console()
    stream.write("hello\r\n")
    stream.write(memoryview(b"x" * 100))
    assert clock.ticks_diff(clock.ticks_ms(), before) == 0
    clock.sleep_ms(200)
    assert ports[0].sim_sent == b"hello\r\n" + b"x" * 100


def test_text_of_apps_is_on_no_line_that_has_another_use(folder: Board) -> None:
    """mpremote, and hsxctl, talk a protocol on theirs."""
    source = (folder.folder / "board.py").read_text()
    (console,) = re.findall(r"stm32\.text\((\d)\)", source)
    (link,) = re.findall(r"stm32\.uart\(links, (\d),", source)
    repl = folder.macros.get("MICROPY_HW_UART_REPL", "")
    assert console != link and not repl.endswith("_" + console)
    assert f"UART{console}_TX" in dict(folder.module["PINS"])


def test_card_is_mounted_only_while_it_is_there(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    if module.NAME == "NUCLEO_G474RE":
        monkeypatch.delattr(pyb, "SDCard", raising=False)  # its MicroPython has none
        assert not module.sdcard_present()
        with pytest.raises(OSError):
            module.mount_sdcard("/sd")
        return
    card = SDCard(bytearray(1024))
    monkeypatch.setattr(pyb, "SDCard", lambda: card)
    mounted: list[str] = []
    vfs = SimpleNamespace(
        VfsFat=lambda device: device,
        mount=lambda volume, root, readonly: mounted.append(root),
        umount=mounted.remove,
    )
    monkeypatch.setitem(sys.modules, "vfs", vfs)
    assert module.sdcard_present()
    module.mount_sdcard("/sd")
    assert mounted == ["/sd"]
    card.sim_remove()
    assert not module.sdcard_present()
    module.unmount_sdcard("/sd")
    assert mounted == []
    with pytest.raises(OSError):
        module.mount_sdcard("/sd")


@pytest.fixture
def mounted(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> "list[SDCard]":
    """The cards that were mounted, each as often as it was."""
    if module.NAME == "NUCLEO_G474RE":
        pytest.skip("the board has no slot")
    done: list[SDCard] = []
    vfs = SimpleNamespace(
        VfsFat=lambda device: device,
        mount=lambda volume, root, readonly: (
            volume.readblocks(0, bytearray(512)) and done.append(volume)
        ),
        umount=lambda root: done.clear(),
    )
    monkeypatch.setitem(sys.modules, "vfs", vfs)
    return done


@pytest.mark.parametrize("refusals", [0, 1, 9])
def test_ctrl_c_while_a_card_starts_comes_when_it_has_started(
    module: ModuleType, mounted: "list[SDCard]", monkeypatch: pytest.MonkeyPatch, refusals: int
) -> None:
    card = SDCard(bytearray(1024))
    card.sim_refusals = refusals
    monkeypatch.setattr(pyb, "SDCard", lambda: card)
    raised: list[None] = []
    monkeypatch.setattr(hsxvm, "interrupt", lambda: raised.append(None))
    machine.sim_interrupt()
    module.mount_sdcard("/sd")
    assert mounted == [card]
    assert len(raised) == (refusals > 0)


def test_another_card_is_read_though_the_driver_takes_the_slot_for_started(
    module: ModuleType, mounted: "list[SDCard]", monkeypatch: pytest.MonkeyPatch
) -> None:
    card = SDCard(bytearray(1024))
    monkeypatch.setattr(pyb, "SDCard", lambda: card)
    module.mount_sdcard("/sd")
    card.sim_remove()
    card.sim_insert(bytearray(1024))
    module.mount_sdcard("/sd")  # as after a soft reset, which does not switch the card off
    assert mounted == [card, card]


# ---- the build --------------------------------------------------------------------------------


def make(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = ["make", "-s", "-C", str(ROOT / "boards" / "stm32"), *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_build_without_the_hal_says_what_it_needs(tmp_path: Path) -> None:
    source = tmp_path / "micropython"
    (source / "ports" / "stm32").mkdir(parents=True)
    (source / "ports" / "stm32" / "Makefile").write_text("")
    done = make("BOARD=PYBV11", f"MICROPYTHON_DIR={source}")
    assert done.returncode == 2
    assert "needs ST's HAL" in done.stderr and "submodules" in done.stderr


def test_build_of_an_unknown_board_lists_the_boards() -> None:
    done = make("BOARD=NONE", f"MICROPYTHON_DIR={MICROPYTHON}")
    assert done.returncode == 2
    (listed,) = re.findall(r"Boards: (.*?)\. +Stop\.", done.stderr)
    assert listed.split() == NAMES and "PYBV11" in NAMES


def test_build_hands_the_port_what_it_needs(tmp_path: Path) -> None:
    source = tmp_path / "micropython"
    for path in ("ports/stm32", "lib/stm32lib/CMSIS", "py", "mpy-cross/build"):
        (source / path).mkdir(parents=True)
    for name in ("mpconfig.h", "mkenv.mk"):
        (source / "py" / name).write_text("")
    (source / "mpy-cross" / "build" / "mpy-cross").write_text("")
    (source / "ports" / "stm32" / "Makefile").write_text(
        "all: ; @echo $(BOARD) $(BOARD_DIR) $(BUILD) $(USER_C_MODULES)\n"
    )
    build = tmp_path / "build"
    done = make("BOARD=PYBV11", f"MICROPYTHON_DIR={source}", f"BUILD={build}")
    name, *paths = done.stdout.split()
    assert name == "PYBV11"
    found = [Path(path).resolve() for path in paths]
    assert found == [ROOT / "boards" / "PYBV11", build, ROOT / "firmware"]


# ---- documents --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_wiring_table_is_the_pins_of_the_board(name: str, tmp_path: Path) -> None:
    board = Board(ROOT / "boards" / name, MICROPYTHON, tmp_path)
    text = (board.folder / "README.md").read_text()
    rows = re.findall(r"^\| (\w+) \| (P\w+) \| ([^|]+?) \|", text, re.M)
    assert [(signal, pin) for signal, pin, _ in rows] == list(board.module["PINS"])
    labels = (board.port / board.make["BASE_DIR"] / "pins.csv").read_text().split()
    for _, pin, place in rows:
        label = place.split()[0]
        if re.fullmatch(r"[ADXY]\d+", label):
            assert f"{label},{pin}" in labels
        assert f"|{pin} " in text or signal_of_the_card(pin, rows)


def test_table_of_boards_has_a_row_for_each(folder: Board) -> None:
    text = BOARDS.read_text()
    rows = re.findall(r"^\| [A-Z0-9]+(?:_\w+)? \|.*$", text, re.M)
    assert len(rows) == len(NAMES)
    (row,) = [row for row in rows if f" {folder.name} " in row]
    if "HSX_WRITE_DOCS" in os.environ:
        BOARDS.write_text(text.replace(row, row_of(folder)))
    assert row_of(folder) in BOARDS.read_text().splitlines()


def row_of(board: Board) -> str:
    """What docs/boards.md says of a board in its table."""
    common = ("-include", board.folder / "mpconfigboard.h", board.port / "mpconfigboard_common.h")
    port = boardcheck.run(*board.compiler, "-E", "-dM", "-x", "c", *common)
    can = "FDCAN" if "MICROPY_HW_ENABLE_FDCAN (1)" in port else "bxCAN"
    data = [pin for signal, pin in board.module["PINS"] if signal == "SDCARD_D0"]
    card = "none"
    if data:
        wires = (board.folder / "README.md").read_text()
        unit = "SDMMC" if "SDMMC1_D0" in board.functions[data[0]] else "SDIO"
        own = f"| SDCARD_D0 | {data[0]} | on the board |" in wires
        card = "its own slot" if own else f"{unit}, by wires"
    heap = round(boardcheck.sizes(board)["heap"] / 1024)
    part = board.facts["mcu"]
    readme = f"[README](../boards/{board.name}/README.md)"
    return f"| {board.name} | {part} | {can} | {card} | {heap} KiB | {readme} |"


def signal_of_the_card(pin: str, rows: "list[tuple[str, str, str]]") -> bool:
    """Whether it is one of the card's, which the picture leaves out."""
    return any(pin == one and signal.startswith("SDCARD_") for signal, one, _ in rows)


def test_porting_guide_followed_word_by_word_adds_a_fifth_board(
    ported: "tuple[Path, str]",
) -> None:
    _, said = ported  # by docs/porting.md
    assert said.startswith("ADAFRUIT_F405_EXPRESS: flash ")
