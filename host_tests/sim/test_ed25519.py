# SPDX-License-Identifier: MIT
"""Checking signatures in MicroPython's unix port."""

import pytest

from judge import ed25519

pytestmark = pytest.mark.sim


def test_every_case_gets_its_verdict(script):
    cases = ed25519.cases()
    told = script(ed25519.script(cases)).strip()
    wrong = [case[0] for case, said in zip(cases, told, strict=True) if int(said) != case[4]]
    assert wrong == []
