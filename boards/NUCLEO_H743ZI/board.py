# SPDX-License-Identifier: MIT
"""NUCLEO_H743ZI (STM32H743ZI) as `hsx.boot.wiring` sees it; README.md has the wires."""

from micropython import const

import stm32
from stm32 import *  # noqa: F403

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hsx.boot.links import Links
    from hsx.contracts import Runner, Stream
    from hsx.store.region import Region

NAME = "NUCLEO_H743ZI"

# Bytes of the heap that are set apart for task memory at boot.
POOL = const(192 * 1024)

# FM24V10, 128 KiB, at two addresses: bus, addresses in the order of memory, bytes of a device.
FRAM = (1, (0x50, 0x51), 0x10000)
# I2C1_TIMINGR: 400 kHz from 100 MHz, SCL low for 1.4 us (RM0433, 47.4.10).
FRAM_CLOCK = (0x4000_5410, 0x3096_1623)

# RTC_BKP0R: a backup register, which only the loss of VBAT clears.
KEPT = const(0x5800_4050)

# What is wired where; host_tests/boards compares it with MicroPython's pin tables.
PINS = (
    ("I2C1_SCL", "PB8"),
    ("I2C1_SDA", "PB9"),
    ("CAN1_TX", "PD1"),
    ("CAN1_RX", "PD0"),
    ("UART2_TX", "PD5"),
    ("UART2_RX", "PD6"),
    ("UART6_TX", "PC6"),
    ("SDCARD_D0", "PC8"),
    ("SDCARD_D1", "PC9"),
    ("SDCARD_D2", "PC10"),
    ("SDCARD_D3", "PC11"),
    ("SDCARD_CK", "PC12"),
    ("SDCARD_CMD", "PD2"),
    ("SDCARD_DETECT_PIN", "PG2"),
)


def console() -> "Stream":
    """Text of the boot and of apps, on a line of its own: the REPL's is for the REPL."""
    return stm32.text(6)


def fram() -> "Region":
    """The FRAM. OSError if it does not answer."""
    return stm32.fram_i2c(*FRAM, PINS, *FRAM_CLOCK)


def links(links: "Links") -> "list[Runner]":
    """The line to a host, and the CAN bus."""
    return [stm32.uart(links, 2, 115_200), stm32.can(links, 1)]


def kept() -> int:
    """The word that outlives every reset but the loss of power."""
    return stm32.kept_in(KEPT)


def keep(word: int) -> None:
    """Puts a new one there."""
    stm32.keep_in(KEPT, word)
