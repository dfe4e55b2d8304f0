# SPDX-License-Identifier: MIT
"""`hsxctl boot` and `hsxctl reset`: how a node came up, and that it does so again."""

import json

import pytest

from bench.links import LinksBench
from bench.service import NETWORK
from hsxctl.cli import main
from waiting import until

KEY = ["--key", "admin.pem", "--network", str(NETWORK)]


def test_boot_shows_the_report_of_the_node(folder, capsys):
    with LinksBench(5) as bench:
        assert main(["boot", *bench.uart, "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows[0]["source"] == "reset"
    assert {"result", "code", "detail", "ms"} <= set(rows[0])


@pytest.mark.parametrize(("option", "word"), [([], 0), (["--safe"], 0x100)])
def test_reset_answers_first_and_then_starts_anew(folder, capsys, option, word):
    with LinksBench(5) as bench:
        board = bench.nodes[0].board
        assert main(["reset", *option, *KEY, *bench.uart]) == 0
        until(lambda: board.resets)
        assert (board.resets, board.word) == (1, word)
    assert "is reset" in capsys.readouterr().out
