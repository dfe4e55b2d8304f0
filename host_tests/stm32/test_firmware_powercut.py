# SPDX-License-Identifier: MIT
"""Power cuts of the firmware of PYBV11 within I2C bytes: some of those of `make powercut`."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from powercut.invariant import Broken
from powercut.stm32_target import BOARD, Stm32Bench
from powercut.world import SETS

SEED = 5


@pytest.fixture(scope="module")
def bench(firmware: Callable[[str], Path]) -> Iterator[Stm32Bench]:
    firmware(BOARD)
    with Stm32Bench() as bench:
        yield bench


@pytest.mark.parametrize("step", ["update", "confirm", "value_save", "revert_by_attempts"])
def test_a_cut_within_a_byte_keeps_the_invariant(bench: Stm32Bench, step: str) -> None:
    for case in bench.cases(step, 1, SEED):
        print(case)  # its id, should it fail
        bench.run_case(case)


def test_the_same_cycle_leaves_the_same_bytes(bench: Stm32Bench) -> None:
    first, *_, last = sorted(bench.cases("stage", 20, SEED))
    cells = [bench.cut(case) for case in (first, last)]
    assert [bench.cut(case) for case in (first, last)] == cells
    assert cells[0] != cells[1]


def test_a_damaged_set_is_found(bench: Stm32Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = bench.reference("confirm")
    cells = bytearray(reference.start)
    at = cells.rindex(SETS["newer"][1][0])
    cells[at + 50] ^= 1
    monkeypatch.setattr(reference, "start", bytes(cells))
    with pytest.raises(Broken, match="left other bytes"):
        bench.run_case("stm32/confirm/cycle/1")
