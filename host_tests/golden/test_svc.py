# SPDX-License-Identifier: MIT
"""Scenarios of programs that use values: a node on the host against the reference."""

import pytest

from hsx import native
from judge import golden
from judge.on_node import Judge
from judge.scenarios import scenario


@pytest.mark.parametrize("name", golden.SCENARIOS)
def test_each_task_ends_as_in_the_reference_and_leaves_nothing(name):
    judge = Judge(native.VM(bytearray(32768)))
    idle = judge.left_over()
    folder = golden.GOLDEN / "svc"
    programs = golden.SCENARIOS[name]["load_order"]
    results = scenario(judge, [str(folder / f"{program}.hxe") for program in programs])
    golden.assert_scenario({name: {0: results}}, name)
    assert judge.left_over() == idle
