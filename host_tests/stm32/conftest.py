# SPDX-License-Identifier: MIT
"""Tests of the emulated STM32 run where its CPU is installed."""

import importlib.util

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if importlib.util.find_spec("unicorn") is None:
        skip = pytest.mark.skip(reason="the Python package unicorn is not installed")
        for item in items:
            if "stm32" in item.path.parts:
                item.add_marker(skip)
