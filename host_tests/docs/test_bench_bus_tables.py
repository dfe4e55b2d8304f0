# SPDX-License-Identifier: MIT
"""The tables of docs/bench_bus.md are the options and the words that `hsxctl sim` takes."""

import argparse
from types import SimpleNamespace

from docs.tables import coded, table
from hsxctl.commands import sim_bus


def test_the_words_are_the_codes():
    assert [(coded(word)[0], what) for word, what in table("bench_bus.md", "word")] == list(
        sim_bus._WORDS
    )
    console = sim_bus._Console(None, SimpleNamespace(members={}), None)
    assert {word.split()[0] for word, _ in sim_bus._WORDS} == set(console._words)


def test_the_options_are_the_codes_with_their_defaults():
    parser = argparse.ArgumentParser(add_help=False)
    sim_bus.add_options(parser)
    told = {coded(option)[0]: what for option, what in table("bench_bus.md", "option")}
    assert told.pop("--json")
    for action in parser._actions:
        (option,) = action.option_strings
        what = told.pop(f"{option} {action.metavar}" if action.metavar else option)
        assert not action.default or str(action.default) in what
    assert not told
