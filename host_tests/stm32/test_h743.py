# SPDX-License-Identifier: MIT
"""Peripherals of the H743: clocks and voltage, flash, FDCAN, I2C, USART, the card."""

import struct
from pathlib import Path

import pytest

from stm32.emulator import MS, REFUSED, Machine, flash_image, program, run_program

BOARD, CORE = "NUCLEO_H743ZI", "cortex-m7"


@pytest.mark.parametrize("name", ["clocks_h7", "flash_words_h7"])
def test_program(name: str) -> None:
    done = run_program(name, board=BOARD, core=CORE)
    assert done.returncode == 0, done.stdout + done.stderr


CLOCK_REFUSALS = {
    1: "RTC+50 while the backup domain is closed",
    2: "RCC.BDCR.RTCSEL is changed without a reset",
    3: "RCC.CFGR.SW selects clock 3, which is not ready",
    4: "HCLK 200000000 Hz with FLASH.ACR 21",
    5: "RCC+30 while the PLL is on",
    6: "switches off what a clock comes from",
    7: "PWR.D3CR.VOS is changed before CR3 has been written",
    8: "PWR.CR3: the supply is the LDO",
    9: "HCLK 400000000 Hz at voltage VOS1",
    10: "the core at 400000000 Hz and HCLK 200000000 Hz at voltage VOS2",
    11: "PWR.D3CR.VOS is 1, SYSCFG.PWRCR.ODEN 1",
    12: "RCC+28 while the PLL is on",
    13: "RCC.PLL1: M 4, N 129 of 64000000 Hz",
    14: "SYSCFG+02c, which has no clock",
    15: "an APB bus at 200000000 Hz at voltage VOS1",
    16: "PWR.CR2 without PWR_CR1.DBP",
}


@pytest.mark.parametrize("case", CLOCK_REFUSALS)
def test_wrong_clocks_are_refused(case: int) -> None:
    done = run_program("clocks_h7", f"CASE={case}", board=BOARD, core=CORE)
    assert done.returncode == REFUSED, done.stdout + done.stderr
    assert CLOCK_REFUSALS[case] in done.stderr


FLASH_REFUSALS = {
    1: "the flash word at 081a0000 is programmed twice",
    2: "a store at 081a0020 while the bank is busy",
    3: "FLASH.KEYR2",
    4: "FLASH.CR2, which is locked",
    5: "FLASH.CR2 000000b2 starts no erase",
}


@pytest.mark.parametrize("case", FLASH_REFUSALS)
def test_what_flash_leaves_undefined_is_refused(case: int) -> None:
    done = run_program("flash_words_h7", f"CASE={case}", board=BOARD, core=CORE)
    assert done.returncode == REFUSED, done.stdout + done.stderr
    assert FLASH_REFUSALS[case] in done.stderr


def test_a_flash_word_that_was_cut_is_a_bus_fault(tmp_path: Path) -> None:
    flash = flash_image(program("flash_cut_h7", core=CORE), tmp_path / "flash")
    with Machine(BOARD, flash=flash, ecc=tmp_path / "ecc", semihosting="1") as machine:
        machine.power(True)
        assert machine.run(MS) == "time"
        machine.power(False)
    with Machine(BOARD, flash=flash, ecc=tmp_path / "ecc", semihosting="1") as machine:
        machine.power(True)
        assert machine.command("run", 100 * MS).split()[:2] == ["exit", "0"]
        assert sum((tmp_path / "ecc").read_bytes()) == 1


@pytest.mark.parametrize("case", [0, 20])
def test_fdcan(case: int, tmp_path: Path) -> None:
    flash = flash_image(program("fdcan_h7", f"CASE={case}", core=CORE), tmp_path / "flash")
    with Machine(BOARD, flash=flash, semihosting="1") as machine:
        machine.power(True)
        machine.send("can", b"S6\rO\r")
        if case == 20:
            assert machine.until("can", b"t12321122\r", 100 * MS) == "text"
            machine.send("can", b"t1013112233\r")
            machine.run(MS)
            machine.command("disturb", 20 * MS)
        ended = machine.command("run", 200 * MS).split()[:2]
        assert ended == ["exit", "0"], machine.take("text")
        assert (b"t1240\r" in machine.take("can")) == (case == 20)


FDCAN_REFUSALS = {
    1: "FDCAN1+0a0 without CCCR.CCE",
    2: "FDCAN1: element 2 at word 2557 of the message RAM",
    3: "FDCAN1: TXBAR 8, of 3 buffers 0 wait",
    4: "FDCAN1.TXBC has dedicated buffers beside a FIFO or queue",
    5: "FDCAN1: element 0 of a FIFO that holds 0",
    6: "write of 1 bytes to the message RAM",
    7: "FDCAN1.TTOCF",
    8: "no device is modelled",
}


@pytest.mark.parametrize("case", FDCAN_REFUSALS)
def test_what_fdcan_leaves_undefined_is_refused(case: int) -> None:
    done = run_program("fdcan_h7", f"CASE={case}", board=BOARD, core=CORE)
    assert done.returncode == REFUSED, done.stdout + done.stderr
    assert FDCAN_REFUSALS[case] in done.stderr


def test_i2c_has_the_clock_that_rcc_selects(tmp_path: Path) -> None:
    flash = flash_image(program("i2c_h7", core=CORE), tmp_path / "flash")
    with Machine(BOARD, flash=flash, fram=tmp_path / "fram", semihosting="1") as machine:
        machine.power(True)
        machine.command("period", "PB8")
        assert machine.until("text", b"pclk1\n", 100 * MS) == "text"
        # Twice 90 ns and three periods are added to the levels.
        assert int(machine.command("period", "PB8")) == 1_273_750
        assert machine.until("text", b"csi\n", 100 * MS) == "text"
        assert int(machine.command("period", "PB8")) == 3_680_000
    assert (tmp_path / "fram").read_bytes()[0x1234:0x1238] == bytes.fromhex("118000ff")


@pytest.fixture
def card(tmp_path: Path) -> Path:
    path = tmp_path / "card"
    path.write_bytes(bytes(1 << 20))
    return path


def test_the_card(card: Path) -> None:
    done = run_program("sdmmc_h7", board=BOARD, core=CORE, card=card, card_ready="3000")
    assert done.returncode == 0, done.stdout + done.stderr
    blocks = card.read_bytes()[7 * 512 : 9 * 512]
    assert blocks == b"".join(struct.pack("<I", 0x5A00_0000 + i) for i in range(256))
    assert not any(card.read_bytes()[9 * 512 :])


CARD_REFUSALS = {
    1: "SDMMC1.IDMABASE0 20000000: its DMA reaches the AXI SRAM only",
    2: "SDMMC1.FIFO is read, but holds no data",
    3: "SDMMC1.CMD is written while a command is sent",
    4: "SD card: CMD8 at 25000000 Hz",
    5: "SDMMC1.IDMACTRLR: bits 00000002",
    6: "SDMMC1: a command, but not all of its lines are at pins",
}


@pytest.mark.parametrize("case", CARD_REFUSALS)
def test_what_sdmmc_leaves_undefined_is_refused(case: int, card: Path) -> None:
    defines = f"CASE={case}"
    done = run_program("sdmmc_h7", defines, board=BOARD, core=CORE, card=card, card_ready="3000")
    assert done.returncode == REFUSED, done.stdout + done.stderr
    assert CARD_REFUSALS[case] in done.stderr


def test_a_fifo_of_the_usart_has_16_bytes(tmp_path: Path) -> None:
    flash = flash_image(program("usart_h7", core=CORE), tmp_path / "flash")
    with Machine(BOARD, flash=flash, semihosting="1") as machine:
        machine.power(True)
        assert machine.until("uart2", b"1", 100 * MS) == "text"
        machine.send("uart2", bytes(range(17)))
        assert machine.command("run", 100 * MS).split()[:2] == ["exit", "0"]
        assert machine.take("uart2") == b"1" + bytes(range(100, 117))
