# SPDX-License-Identifier: MIT
"""The core and the F4's own peripherals, exercised by programs that run inside."""

import pytest

from stm32.emulator import REFUSED, run_program


@pytest.mark.parametrize(
    "name", ["exceptions", "clocks", "flash_f4", "pins", "clock_and_dog", "numbers"]
)
def test_a_program_finds_the_part_as_the_manual_says(name: str) -> None:
    done = run_program(name)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "case", "what"),
    [
        ("clocks", 1, "read at RCC+01c, which is not modelled"),
        ("clocks", 2, "read at 40016000, where no device is modelled"),
        ("clocks", 3, "write at GPIOB+000, which has no clock"),
        ("clocks", 4, "RCC.AHB1ENR: bits 80000000 are not to be changed"),
        ("clocks", 5, "RCC.CFGR.SW selects clock 2, which is not ready"),
        ("clocks", 6, "HCLK 168000000 Hz with FLASH_ACR.LATENCY 0"),
        ("clocks", 7, "RCC.PLLCFGR"),
        ("clocks", 8, "write of RCC.PLLCFGR while the PLL is on"),
        ("clocks", 9, "RCC.BDCR without PWR_CR.DBP"),
        ("clocks", 10, "RCC.BDCR.RTCSEL is changed"),
        ("clocks", 11, "PCLK1 168000000 Hz"),
        ("clocks", 12, "switches the system clock off"),
        ("flash_f4", 1, "write of 45670124 to FLASH.KEYR"),
        ("flash_f4", 2, "FLASH.CR, which is locked"),
        ("flash_f4", 3, "the part has no such sector"),
        ("usart_v1", 2, "USART2 is used with BRR 0"),
        ("usart_v1", 3, "USART2.DR is written while the transmitter is off"),
        ("usart_v1", 4, "USART2.DR is written before TXE"),
        ("clock_and_dog", 1, "write of RTC+50 while the backup domain is closed"),
        ("clock_and_dog", 2, "RTC+10 without its keys"),
        ("clock_and_dog", 3, "IWDG+08 without its key"),
        ("clock_and_dog", 4, "write of 1234 to IWDG.KR"),
        ("clock_and_dog", 5, "IWDG+08 before SR says so"),
        ("numbers", 1, "RNG.DR is read before SR.DRDY"),
        ("numbers", 2, "TIM2.SMCR: bits 00000007 are not to be changed"),
    ],
)
def test_what_a_part_refuses_ends_the_run(name: str, case: int, what: str) -> None:
    done = run_program(name, f"CASE={case}")
    assert done.returncode == REFUSED, done.stdout + done.stderr
    assert what in done.stderr
    assert "(pc 080" in done.stderr
