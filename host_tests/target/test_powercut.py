# SPDX-License-Identifier: MIT
"""Power cuts on the target: a small edition of what `make powercut` does there."""

import pytest

from powercut import target
from powercut.invariant import Broken

pytestmark = pytest.mark.target

SEED = 5


@pytest.fixture(scope="module")
def bench(firmware):
    with target.Bench(firmware) as bench:
        yield bench


@pytest.mark.requirement("P-50", "P-100")
@pytest.mark.sharded
@pytest.mark.parametrize("step", target.TARGETS, ids=lambda step: step.name)
def test_moments_of_each_kind_in_a_step_keep_the_invariant(bench, step):
    for kind in [kind for kind in target.KINDS if step in target.steps(kind)]:
        for case in bench.cases(step.name, kind, 1, SEED):
            print(case)  # its id, should it fail
            bench.run_case(case)


@pytest.mark.sharded
@pytest.mark.parametrize("step", ["value_save", "revert_by_attempts"])
def test_the_same_count_leaves_the_same_bytes(bench, step):
    ticks = bench.measured(step).ticks
    cases = [f"target/{step}/count/{ticks * at // 100}" for at in (50, 90, 96, 110)]
    cells = [bench.cut(case) for case in cases]
    assert [bench.cut(case) for case in cases] == cells
    assert len(set(cells)) > 1  # some of them before a write, some behind


def test_a_damaged_set_is_found(bench, monkeypatch):
    reference = bench.reference("confirm")
    cells = bytearray(reference.start)
    at = cells.rindex(target.SETS["newer"][1][0])
    cells[at + 50] ^= 1
    monkeypatch.setattr(reference, "start", bytes(cells))
    with pytest.raises(Broken, match="shows"):
        bench.run_case("target/confirm/count/1")


def test_what_the_node_boots_is_compared_with_what_the_host_boots(bench, monkeypatch):
    original = target.boot_on_host

    def other_words(cells, hard):
        said, booted = original(cells, hard)
        return said.replace("FRAM:", "SD:"), booted

    monkeypatch.setattr(target, "boot_on_host", other_words)
    with pytest.raises(Broken, match="the node shows"):
        bench.run_case("target/confirm/count/1")


def test_a_boot_that_writes_other_bytes_is_found(bench, monkeypatch):
    original = target.boot_on_host

    def other_bytes(cells, hard):
        said, booted = original(cells, hard)
        return said, booted[:-1] + bytes([booted[-1] ^ 1])

    monkeypatch.setattr(target, "boot_on_host", other_bytes)
    with pytest.raises(Broken, match="other bytes"):
        bench.run_case("target/confirm/count/1")
