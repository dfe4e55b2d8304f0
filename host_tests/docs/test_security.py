# SPDX-License-Identifier: MIT
"""docs/security.md is run: a key, a node that is told of it, and pushes to that node."""

import contextlib
import re
import shutil

import pytest

from bench.images import SPIN, an_image
from bench.links import LinksBench, wait_for
from bench.runtime import RuntimeBench
from bench.service import NODE, admin, factory, public, user
from docs import console
from docs.console import blocks
from docs.tables import DOCS, coded, table
from hsx.boot.config import Config
from hsx.boot.config_file import take
from hsx.boot.wiring import _configure
from hsx.errors import EACCES, HsxError
from hsx.image.manifest import Manifest
from hsx.link import command as c
from hsx.service import policy as p
from hsx.service.signed_commands import _NEEDS
from hsxctl import settings

GUIDE = DOCS / "security.md"
KEY = r"[0-9a-f]{64}"


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """A node that trusts nobody yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(settings, "FILES", ())
    for source in (DOCS.parent / "tools/demo/apps").glob("*.mvasm"):
        shutil.copy(source, tmp_path)
    with LinksBench(NODE) as bench:
        policy = bench.nodes[0].policy
        for key in (user, admin, factory):
            policy.distrust(public(key))
        policy.configure({"network": 0, "commands": p.OFF})
        yield bench


def plain(text: str) -> str:
    """Without what differs from run to run: keys, times and rates."""
    return re.sub(r"\d+\.\d s, \d+ B/s", "time", re.sub(KEY, "key", text))


def test_guide_does_what_it_shows(bench):
    text = GUIDE.read_text()
    (python,) = blocks(GUIDE, "python")
    on_host, on_bus = blocks(GUIDE)
    found = console.run(on_host, console.hsxctl)
    text = console.put(text, "console", on_host, found)
    (key,) = set(re.findall(KEY, found))
    with bench.lock:
        policy = bench.nodes[0].runtime.service.policy
        exec(re.sub(KEY, key, python), {"policy": policy})
    can = bench.can[1]
    there = console.run(
        on_bus,
        lambda command: console.hsxctl(command.replace("socketcan:can0", can)).replace(
            can, "socketcan:can0"
        ),
    )
    text = re.sub(KEY, key, console.put(text, "console", on_bus, there))
    console.compare(GUIDE, text, plain)
    wait_for(bench, "hello")


def a_policy() -> p.Policy:
    return RuntimeBench("nowhere").policy


def test_file_and_board_say_the_same_to_the_policy():
    (python,), (toml,) = blocks(GUIDE, "python"), blocks(GUIDE, "toml")
    by_board, by_file = a_policy(), a_policy()
    exec(python, {"policy": by_board})
    config = Config()
    take(toml.encode(), True, config)
    _configure(by_file, config)
    names = ("signatures", "commands", "network", "number", "_keys")
    said = [[getattr(policy, name) for name in names] for policy in (by_board, by_file)]
    assert said[0] == said[1]
    assert said[0][:4] == [p.REQUIRE, p.REQUIRE, 42, 5]
    assert [role for _, role in said[0][4]] == [p.ADMIN]


def test_what_else_can_be_set_is_there():
    (sentence,) = re.findall(r"^Limits of one image.*?\n\n", GUIDE.read_text(), re.M | re.S)
    names = coded(sentence)
    assert names == [name for name in vars(p.Policy) if name.startswith("max_")] + ["capabilities"]
    a_policy().configure(dict.fromkeys(names, 1))


# ---- the tables -------------------------------------------------------------------------------

WORDS = {
    "load": c.LOAD,
    "stage": c.STAGE,
    "activate": c.ACTIVATE,
    "confirm": c.CONFIRM,
    "roll back": c.ROLLBACK,
    "kill tasks": c.KILL,
    "abort transfers": c.ABORT,
    "reset": c.RESET,
}


def test_the_roles_are_the_codes():
    rows = table("security.md", "role", "may")
    assert [role.split() for role, _ in rows] == [
        [name, str(getattr(p, name))] for name in ("USER", "ADMIN", "FACTORY")
    ]
    levels = [re.search(r"level (\d)", may)[1] for _, may in rows]
    assert levels == [str(getattr(p, role.split()[0])) for role, _ in rows]
    actions = rows[1][1].split("; ")[1].split(", ")
    assert {WORDS[action] for action in actions} == {
        action for action in range(1, len(_NEEDS)) if _NEEDS[action] == p.ADMIN
    }
    assert {action for action in range(1, len(_NEEDS)) if _NEEDS[action] == p.USER} == {
        c.SET,
        c.CALL,
    }


@pytest.mark.parametrize(
    ("level", "warnings", "takes"),
    [(p.OFF, 0, True), (p.WARN, 1, True), (p.REQUIRE, 0, False)],
    ids=["off", "warn", "require"],
)
def test_what_is_not_signed_is_taken_told_or_refused(level, warnings, takes, tmp_path):
    """An image, and a card's manifest; a signature that is asked for and missing."""
    bench = RuntimeBench("nowhere")
    bench.policy.signatures = level
    image = tmp_path / "app.hxe"
    image.write_bytes(an_image(SPIN))
    manifest = Manifest()
    manifest.digest = bytes(32)
    for take_it in (
        lambda: bench.runtime.load(str(image)),
        lambda: bench.policy.check_manifest(manifest),
    ):
        before = len(bench.told("warning"))
        with contextlib.nullcontext() if takes else pytest.raises(HsxError) as refused:
            take_it()
        assert takes or refused.value.errno == EACCES
        assert len(bench.told("warning")) - before == warnings
