# SPDX-License-Identifier: MIT
"""How much of the package the tests run; `make test` runs this after all others."""

import pytest

import covered

PARTS = sorted(path.name for path in (covered.ROOT / "firmware/hsx").iterdir() if path.is_dir())


@pytest.mark.requirement("P-94")
@pytest.mark.parametrize("part", [part for part in PARTS if part != "__pycache__"])
def test_host_tests_run_more_than_80_percent_of_each_part(part):
    if not covered.FIGURES.exists():
        pytest.skip(f"no {covered.FIGURES}: 'make test' records it")
    run, statements = covered.share(part)
    print(f"{part}: {run} of {statements} statements")
    assert run > 0.8 * statements > 0
