# SPDX-License-Identifier: MIT
"""The plain interpreter that the core is compared with is an interpreter of the same programs."""

import json

import pytest

from measure import host
from measure.node import GOLDEN

# What the plain one does not check for, or stops at in another way.
_CHECKED = ("fault", "brk", "illegal", "pc_out", "step_cap")
CASES = {path.stem: json.loads(path.read_text()) for path in sorted(GOLDEN.glob("*.json"))}
RUNS = [
    name
    for name, case in CASES.items()
    if not case["needs_flat"] and not case["stop"].startswith(_CHECKED)
]


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    return host.build(tmp_path_factory.mktemp("race"))


@pytest.mark.parametrize("name", RUNS)
def test_both_interpreters_come_to_the_same_state(module, name):
    ours, plain = host.race(module, name, CASES[name]["step_cap"], 1)
    assert ours > 0 and plain > 0


def test_a_difference_is_seen(module):
    image = (GOLDEN / "bench_loop.hxe").read_bytes()
    result = module.ffi.new("race_t *")
    # Entered one instruction later, the plain one lacks what the first one sets.
    assert module.lib.race(image, len(image), 96, 8, 1000, result) == 2


def test_an_image_that_the_core_refuses_is_no_race(module):
    image = (GOLDEN / "bench_loop.hxe").read_bytes()[:-1]
    result = module.ffi.new("race_t *")
    assert module.lib.race(image, len(image), 96, 0, 1000, result) == 1
