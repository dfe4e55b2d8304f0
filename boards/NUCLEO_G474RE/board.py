# SPDX-License-Identifier: MIT
"""NUCLEO_G474RE (STM32G474RE) as `hsx.boot.wiring` sees it; README.md has the wires."""

from micropython import const

import stm32
from stm32 import *  # noqa: F403

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hsx.boot.links import Links
    from hsx.contracts import Runner, Stream
    from hsx.store.region import Region

NAME = "NUCLEO_G474RE"

# Bytes of the heap that are set apart for task memory at boot.
POOL = const(34 * 1024)

# FM24V10, 128 KiB, at two addresses: bus, addresses in the order of memory, bytes of a device.
FRAM = (3, (0x50, 0x51), 0x10000)

# TAMP_BKP0R: a backup register, which only the loss of VBAT clears.
KEPT = const(0x4000_2500)

# What is wired where; host_tests/boards compares it with MicroPython's pin tables.
PINS = (
    ("I2C3_SCL", "PA8"),
    ("I2C3_SDA", "PC9"),
    ("CAN1_TX", "PA12"),
    ("CAN1_RX", "PA11"),
    ("UART1_TX", "PC4"),
    ("UART1_RX", "PC5"),
    ("UART3_TX", "PB10"),
)


def console() -> "Stream":
    """Text of the boot and of apps, on a line of its own: the REPL's is for the REPL."""
    return stm32.text(3)


def fram() -> "Region":
    """The FRAM. OSError if it does not answer."""
    # By software: MicroPython to 1.26 has no driver for I2C here, and the later one takes I2C3 for
    # a tenth bus, as its registers do not stand behind those of I2C2: it finds no pins, and no
    # clock.
    return stm32.fram_i2c(*FRAM, PINS)


def links(links: "Links") -> "list[Runner]":
    """The line to a host, and the CAN bus."""
    return [stm32.uart(links, 1, 115_200), stm32.can(links, 1)]


def kept() -> int:
    """The word that outlives every reset but the loss of power."""
    return stm32.kept_in(KEPT)


def keep(word: int) -> None:
    """Puts a new one there."""
    stm32.keep_in(KEPT, word)
