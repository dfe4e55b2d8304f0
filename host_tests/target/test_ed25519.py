# SPDX-License-Identifier: MIT
"""Checking signatures on the target."""

import pytest

from judge import ed25519

pytestmark = pytest.mark.target

BATCH = 20  # cases; what a small heap can compile at once


def test_every_case_gets_its_verdict(repl):
    cases = ed25519.cases()
    wrong = []
    for at in range(0, len(cases), BATCH):
        batch = cases[at : at + BATCH]
        told = repl.run(ed25519.script(batch)).strip()
        wrong += [case[0] for case, said in zip(batch, told, strict=True) if int(said) != case[4]]
    assert wrong == []
