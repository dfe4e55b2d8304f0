# SPDX-License-Identifier: MIT
"""Cases and images that several tests of the core use."""

import json
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent.parent / "golden"


@pytest.fixture(scope="session")
def golden_cases() -> list:
    """The single instructions of the reference (golden/README.md)."""
    return [json.loads(line) for line in (GOLDEN / "isa_fuzz.jsonl").open()]


@pytest.fixture(scope="session")
def good_image() -> bytes:
    """A well formed image with code, rodata and metadata."""
    return (GOLDEN / "malformed" / "good.hxe").read_bytes()
