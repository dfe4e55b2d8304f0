# SPDX-License-Identifier: MIT
"""The part of the STM32 port's `pyb` that the package and its boards use: `CAN` of an STM32F4."""

from fakes.can_pyb import CAN
from fakes.sdcard import SDCard

__all__ = ["CAN", "SDCard", "Switch"]


class Switch:
    """The user button. Not modelled: callbacks."""

    sim_pressed = False

    def __init__(self) -> None:
        pass

    def __call__(self) -> bool:
        return self.value()

    def value(self) -> bool:
        return self.sim_pressed
