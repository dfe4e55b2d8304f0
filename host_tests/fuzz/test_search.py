# SPDX-License-Identifier: MIT
"""A short run of each search in Python, the same each time, and bugs that it must find."""

from collections.abc import Callable

import pytest

from fuzz.search import TARGETS, Finding, Search
from hsx.image import manifest
from hsx.node.commands import Commands
from hsx.node.values import OWNER, Values
from hsx.service import requests as service_requests
from hsx.service.requests import Requests

RUNS = {"requests": 250, "manifest": 1500, "metadata": 500}
OUTCOMES = {
    "requests": {"all refused", "asked", "changed"},
    "manifest": {"refused", "accepted", "empty"},
    "metadata": {"refused", "accepted", "without sections"},
}


def searched(name: str, seed: int = 1, runs: int | None = None) -> Search:
    search = Search(name, seed)
    for _ in range(RUNS[name] if runs is None else runs):
        search.step()
    return search


@pytest.mark.parametrize("name", TARGETS)
def test_a_short_search_finds_nothing_and_gets_everywhere(name):
    search = searched(name)
    assert set(search.outcomes) == OUTCOMES[name]
    assert min(search.outcomes.values()) > 5
    assert len(search.pool) > 10


def test_a_search_is_the_same_for_the_same_seed():
    first, again, other = (searched("manifest", seed, 200) for seed in (1, 1, 2))
    assert first.pool == again.pool != other.pool
    assert first.outcomes == again.outcomes


def level_ignored(monkeypatch) -> None:
    monkeypatch.setattr(service_requests, "_PUBLIC", OWNER)


def tag_lost(monkeypatch) -> None:
    whole: Callable = Requests.message
    monkeypatch.setattr(
        Requests, "message", lambda *args: whole(*args)[:1] + b"\0" + whole(*args)[2:]
    )


def key_shared(monkeypatch) -> None:
    monkeypatch.setattr(Values, "_is_taken", lambda self, key, before: False)


def one_too_many(monkeypatch) -> None:
    right: Callable = manifest.is_int
    monkeypatch.setattr(manifest, "is_int", lambda value, low, high: right(value, low, high + 1))


def any_path(monkeypatch) -> None:
    monkeypatch.setattr(manifest, "_is_plain", lambda path: True)


def values_stay(monkeypatch) -> None:
    monkeypatch.setattr(Values, "drop", lambda self, pid: None)


def flags_lost(monkeypatch) -> None:
    whole: Callable = Commands._add
    monkeypatch.setattr(
        Commands,
        "_add",
        lambda self, pid, oid, row: whole(self, pid, oid, (row[0] & 0x7FFF, *row[1:])),
    )


@pytest.mark.parametrize(
    ("name", "bug"),
    [
        ("requests", level_ignored),
        ("requests", tag_lost),
        ("manifest", one_too_many),
        ("manifest", any_path),
        ("metadata", key_shared),
        ("metadata", values_stay),
        ("metadata", flags_lost),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_seeded_bug_is_found(name, bug, monkeypatch):
    bug(monkeypatch)
    with pytest.raises(Finding):
        searched(name)
