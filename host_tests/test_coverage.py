# SPDX-License-Identifier: MIT
"""How much of the package the host tier runs; after it, so with the tests of the target."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "build/coverage.json"
PARTS = sorted(path.name for path in (ROOT / "firmware/hsx").iterdir() if path.is_dir())
pytestmark = pytest.mark.target


@pytest.mark.requirement("P-94")
@pytest.mark.parametrize("part", [part for part in PARTS if part != "__pycache__"])
def test_host_tests_run_more_than_80_percent_of_each_part(part):
    if not FIGURES.exists():
        pytest.skip("no build/coverage.json: 'make test' takes the figures")
    files = json.loads(FIGURES.read_text())["files"]
    found = [
        figures["summary"]
        for name, figures in files.items()
        if name.startswith(f"firmware/hsx/{part}/")
    ]
    statements = sum(one["num_statements"] for one in found)
    covered = sum(one["covered_lines"] for one in found)
    print(f"{part}: {covered} of {statements} statements")
    assert covered > 0.8 * statements > 0
