# SPDX-License-Identifier: MIT
"""Peripherals of the G474: FDCAN in loop back and alone, flash, I2C, clocks and
the backup domain."""

from pathlib import Path

import pytest

from stm32.emulator import MS, REFUSED, Machine, flash_image, program, run_program

BOARD = "NUCLEO_G474RE"


@pytest.mark.parametrize("name", ["fdcan_alone", "flash_g4", "backup_g4"])
def test_program(name: str) -> None:
    done = run_program(name, board=BOARD)
    assert done.returncode == 0, done.stdout + done.stderr


REFUSALS = {
    1: "FDCAN1+01c without CCCR.CCE",
    2: "FDCAN1.CCCR.CCE is set without INIT",
    3: "FDCAN1.CCCR",
    4: "write of 1 bytes to the message RAM",
    5: "FDCAN1: element 0 of a FIFO that holds 0",
    6: "FDCAN1: TXBAR 2, the put index is 0",
    7: "FDCAN1.TOCC",
    8: "FDCAN1 leaves INIT without its pins",
    9: "FDCAN1: external loop back",
    10: "FDCAN1+060, which is not modelled",
    11: "FDCAN1: TXBAR 1 with CCE set",
    12: "no device is modelled",
    13: "FDCAN1+018, which has no clock",
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_fdcan_leaves_undefined_is_refused(case: int) -> None:
    done = run_program("fdcan_alone", f"CASE={case}", board=BOARD)
    assert done.returncode == REFUSED, done.stdout + done.stderr
    assert REFUSALS[case] in done.stderr


def test_i2c(tmp_path: Path) -> None:
    fram = tmp_path / "fram"
    done = run_program("i2c_v2", board=BOARD, fram=fram)
    assert done.returncode == 0, done.stdout + done.stderr
    memory = fram.read_bytes()
    assert memory[0x1234:0x1236] == bytes.fromhex("a55a")
    assert memory[0x0010] == 0x77


I2C_REFUSALS = {
    1: "I2C3.TIMINGR is changed while PE is set",
    2: "I2C3.TXDR is written before TXE",
    3: "I2C3.CR2 while it is off",
    4: "is push-pull, its function needs open drain",
    5: "I2C3.CR2: bits 00000800",
    6: "I2C3.CR2 while START is set",
}


@pytest.mark.parametrize("case", I2C_REFUSALS)
def test_what_i2c_leaves_undefined_is_refused(case: int, tmp_path: Path) -> None:
    done = run_program("i2c_v2", f"CASE={case}", board=BOARD, fram=tmp_path / "fram")
    assert done.returncode == REFUSED, done.stdout + done.stderr
    assert I2C_REFUSALS[case] in done.stderr


CLOCK_REFUSALS = {
    1: "TAMP+100 while the backup domain is closed",
    2: "RCC.BDCR.RTCSEL is changed without a reset",
    3: "RCC.CFGR.SW selects clock 3, which is not ready",
    4: "HCLK 170000000 Hz with FLASH.ACR.LATENCY 0",
    5: "RCC.PLLCFGR while the PLL is on",
    6: "switches the system clock off",
    7: "write at PWR+000, which has no clock",
    8: "SYSCLK 170000000 Hz in this voltage range",
}


@pytest.mark.parametrize("case", CLOCK_REFUSALS)
def test_wrong_clocks_are_refused(case: int) -> None:
    done = run_program("backup_g4", f"CASE={case}", board=BOARD)
    assert done.returncode == REFUSED, done.stdout + done.stderr
    assert CLOCK_REFUSALS[case] in done.stderr


def test_a_double_word_that_was_cut_has_a_double_error(tmp_path: Path) -> None:
    flash = flash_image(program("flash_cut_g4"), tmp_path / "flash")
    with Machine(BOARD, flash=flash, ecc=tmp_path / "ecc", semihosting="1") as machine:
        machine.power(True)
        assert machine.run(MS) == "time"
        machine.power(False)
    with Machine(BOARD, flash=flash, ecc=tmp_path / "ecc", semihosting="1") as machine:
        machine.power(True)
        assert machine.command("run", 100 * MS).split()[:2] == ["exit", "0"]
        assert sum((tmp_path / "ecc").read_bytes()) == 1


def test_usart(tmp_path: Path) -> None:
    flash = flash_image(program("usart_v2"), tmp_path / "flash")
    with Machine(BOARD, flash=flash, semihosting="1") as machine:
        machine.power(True)
        for asks, gives in ((b"12", b"abc"), (b"3", b"abcdefghi"), (b"4", b"AB")):
            assert machine.until("uart1", asks, 100 * MS) == "text"
            assert machine.take("uart1") == asks
            machine.send("uart1", gives)
        assert machine.command("run", 100 * MS).split()[:2] == ["exit", "0"]
        assert machine.take("uart1") == b"ab"


USART_REFUSALS = {
    1: "USART1+0c while it is on",
    2: "USART1.TDR is written before TXE",
    3: "USART1.TDR is written while the transmitter is off",
    4: "USART1.CR3: bits 00000040",
}


@pytest.mark.parametrize("case", USART_REFUSALS)
def test_what_usart_leaves_undefined_is_refused(case: int) -> None:
    done = run_program("usart_v2", f"CASE={case}", board=BOARD)
    assert done.returncode == REFUSED, done.stdout + done.stderr
    assert USART_REFUSALS[case] in done.stderr


def test_fdcan_with_a_host(tmp_path: Path) -> None:
    flash = flash_image(program("fdcan_host"), tmp_path / "flash")
    with Machine(BOARD, flash=flash, semihosting="1") as machine:
        machine.power(True)
        machine.send("can", b"S6\rO\r")
        assert machine.until("can", b"t12321122\r", 100 * MS) == "text"
        machine.send("can", b"t3213112233\rT01234567F1122334455667788\r")
        machine.run(MS)
        machine.command("disturb", 20 * MS)
        assert machine.command("run", 200 * MS).split()[:2] == ["exit", "0"]
        assert b"t1240\r" in machine.take("can")
