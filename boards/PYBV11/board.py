# SPDX-License-Identifier: MIT
"""PYBV11 (STM32F405RG) as `hsx.boot.wiring` sees it; README.md has the wires."""

from micropython import const

import stm32
from stm32 import *  # noqa: F403

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hsx.boot.links import Links
    from hsx.contracts import Runner, Stream
    from hsx.store.region import Region

NAME = "PYBV11"

# Bytes of the heap that are set apart for task memory at boot.
POOL = const(34 * 1024)

# FM24V10, 128 KiB, at two addresses: bus, addresses in the order of memory, bytes of a device.
FRAM = (1, (0x50, 0x51), 0x10000)
# I2C1_CCR: fast mode, 42 MHz / (3 * 35) = 400 kHz (RM0090, 27.6.8).
FRAM_CLOCK = (0x4000_541C, 0x8023)

# RTC_BKP0R: a backup register, which only the loss of VBAT clears.
KEPT = const(0x4000_2850)

# CAN_RF0R and CAN_RF1R of CAN1.
CAN_FIFOS = (0x4000_640C, 0x4000_6410)

# What is wired where; host_tests/boards compares it with MicroPython's pin tables.
PINS = (
    ("I2C1_SCL", "PB6"),
    ("I2C1_SDA", "PB7"),
    ("CAN1_TX", "PB9"),
    ("CAN1_RX", "PB8"),
    ("UART6_TX", "PC6"),
    ("UART6_RX", "PC7"),
    ("UART3_TX", "PB10"),
    ("SDCARD_D0", "PC8"),
    ("SDCARD_D1", "PC9"),
    ("SDCARD_D2", "PC10"),
    ("SDCARD_D3", "PC11"),
    ("SDCARD_CK", "PC12"),
    ("SDCARD_CMD", "PD2"),
    ("SDCARD_DETECT_PIN", "PA8"),
)


def console() -> "Stream":
    """Text of the boot and of apps, on a line of its own: the REPL's is for the REPL."""
    return stm32.text(3)


def fram() -> "Region":
    """The FRAM. OSError if it does not answer."""
    return stm32.fram_i2c(*FRAM, PINS, *FRAM_CLOCK)


def links(links: "Links") -> "list[Runner]":
    """The line to a host, and the CAN bus."""
    return [stm32.uart(links, 6, 115_200), stm32.can(links, 1, fifos=CAN_FIFOS)]


def kept() -> int:
    """The word that outlives every reset but the loss of power."""
    return stm32.kept_in(KEPT)


def keep(word: int) -> None:
    """Puts a new one there."""
    stm32.keep_in(KEPT, word)
