# SPDX-License-Identifier: MIT
"""docs/fleet.md is run with four nodes, which run `starts` already."""

import contextlib
import itertools
import re
import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from bench.apps import LEVEL, a_value
from bench.apps import an_app as app_of
from bench.links import LinksBench
from bench.service import NETWORK, admin
from docs.console import UntilCtrlC, blocks, commands, compare, hsxctl, put, run
from hsxctl import image_set, settings
from hsxctl.cli import main
from hsxctl.errors import INTERRUPTED
from hsxctl.fleet import rollout, work

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs/fleet.md"


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(settings, "FILES", (Path("hsxctl.toml"),))
    monkeypatch.setattr(work, "_ROUND", 0.1)
    for source in (ROOT / "tools/demo/apps").glob("*.mvasm"):
        shutil.copy(source, tmp_path)
    (tmp_path / "apps").mkdir()
    Path("apps/dose.hxe").write_bytes(app_of("dose", values=[a_value(LEVEL, name="dose")]))
    pem = admin.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    Path("site.pem").write_bytes(pem)
    main(["asm", "starts.mvasm", "-o", "starts.hxe"])
    sent = image_set.bank([Path("starts.hxe")])
    bench = LinksBench(3, 4, 5, 6)
    for node in bench.nodes:
        assert node.send(node.stage(sent, nodes=[node.policy.number]), sent.data) == 0
        node.provisioning.confirm()
    Path("hsxctl.toml").write_text(
        f'can = "{bench.can[1]}"\nnetwork = {NETWORK}\nkey = "site.pem"\n'
    )
    with bench:
        yield bench


def shown(command: str, bench) -> str:
    """What a terminal would show of a command."""
    return hsxctl(command).replace(bench.can[1], "socketcan:can0")


def test_guide_does_what_it_shows(bench):
    text = GUIDE.read_text()
    for block in blocks(GUIDE):
        text = put(text, "console", block, run(block, lambda command: shown(command, bench)))
    compare(GUIDE, text, plain)


def plain(text: str) -> str:
    """Which of two nodes is the first to be good is not settled."""
    found = []
    for told, lines in itertools.groupby(text.splitlines(), lambda line: line[:8] == "hsxctl: "):
        part = list(lines)
        found += sorted(part) if told else part
    return "\n".join(found)


def test_states_are_the_code_s():
    table = re.search(r"^\| state of a node .*?\n\n", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    assert table and table[0] in rollout.__doc__
    assert re.findall(r"^\| (\w+) \| ", table[0], re.MULTILINE) == list(rollout.STATES)


def test_roll_out_that_was_stopped_goes_on_and_is_taken_back(bench):
    """The commands of the guide's `sh` block, one after the other, behind a Ctrl-C at the moment
    when the first node runs the set."""
    (block,) = blocks(GUIDE, "sh")
    main(["asm", "ramp.mvasm", "-o", "apps/ramp.hxe"])
    begin = "push apps/ramp.hxe --node all --canaries 1 --healthy 0.2 --confirm"
    with contextlib.redirect_stderr(UntilCtrlC(1)):
        assert main(begin.split()) == INTERRUPTED
    said = [shown(command, bench) for command in commands(block)]
    wanted = ["done. All nodes run the set.", "done. All nodes run the set.", "undone."]
    for text, verdict in zip(said, wanted, strict=True):
        assert f": {verdict}" in text, text
