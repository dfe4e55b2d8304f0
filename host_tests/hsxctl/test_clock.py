# SPDX-License-Identifier: MIT
"""How long hsxctl waits for an answer, and that a person can have it wait longer."""

import time

import pytest

from hsxctl import clock
from hsxctl.cli import main
from hsxctl.errors import ToolError


def test_hsxctl_waits_no_longer_than_it_says_unless_it_is_asked_to(monkeypatch):
    monkeypatch.delenv("HSXCTL_PATIENCE", raising=False)
    assert clock.patient(5.0) == 5.0
    monkeypatch.setenv("HSXCTL_PATIENCE", "2.5")
    assert clock.patient(250) == 625


@pytest.mark.parametrize("factor", ["", "0", "0.99", "-2", "nan", "inf", "1001", "long"])
def test_factor_that_is_none_is_wrong_usage(factor, monkeypatch):
    monkeypatch.setenv("HSXCTL_PATIENCE", factor)
    with pytest.raises(ToolError) as caught:
        clock.patient(1)
    assert caught.value.status == 2 and "HSXCTL_PATIENCE" in str(caught.value)


def test_silent_node_is_waited_for_in_real_time(monkeypatch, capsys):
    """The only test that waits as long as a person does: all others have a clock of their own."""
    monkeypatch.delenv("HSXCTL_PATIENCE", raising=False)
    began = time.monotonic()
    assert main(["ps", "--can", "virtual:nobody", "--node", "5"]) == 3
    assert time.monotonic() - began >= 1.0
    assert "node 5 does not answer" in capsys.readouterr().err
