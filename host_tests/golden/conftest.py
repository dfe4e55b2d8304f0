# SPDX-License-Identifier: MIT
"""Where the golden cases are: `HSX_GOLDEN` names any folder of the same format."""

import os
from pathlib import Path

import pytest

GOLDEN_DIR = Path(os.environ.get("HSX_GOLDEN", Path(__file__).parent)).resolve()


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    """The folder with programs/, malformed/ and isa_fuzz.jsonl."""
    return GOLDEN_DIR
