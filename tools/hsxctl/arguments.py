# SPDX-License-Identifier: MIT
"""Types of command line arguments: argparse turns what they refuse into exit code 2."""

import argparse
from collections.abc import Callable


def integer(low: int, high: int) -> Callable[[str], int]:
    """A type for whole numbers from `low` to `high`, decimal or with 0x."""

    def convert(text: str) -> int:
        try:
            value = int(text, 0)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"'{text}' is no number from {low} to {high}")
        return value

    return convert
