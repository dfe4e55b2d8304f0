# SPDX-License-Identifier: MIT
"""Every command of hsxctl about nodes against the Cortex-M4 firmware, over UART and SLCAN."""

import json
import time
from pathlib import Path

import pytest

from bench.apps import an_app
from bench.images import IDLE, SPIN, an_image
from hsxctl import settings
from hsxctl.cli import main
from hsxctl.simulate.qemu import QemuNode
from repl import Repl
from waiting import Deadline

pytestmark = pytest.mark.target

NUMBER = "5"


@pytest.fixture(scope="module")
def machine(firmware, tmp_path_factory):
    """A machine with an empty store; it gets its number in the first test."""
    fram = tmp_path_factory.mktemp("hsxctl") / "fram.bin"
    with QemuNode(firmware, fram=fram, uid="desk") as node:
        node.wait_console("state=over")
        repl = Repl(node)
        repl.run("import hsx; hsx.format('erase everything')")
        repl.close()
        can = ["--can", f"slcan:{node.uart3}", "--option", "sleep_after_open=0"]
        yield {"uart": ["--uart", node.uart2], "can": can, "repl": ["--repl", node.repl]}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(settings, "FILES", ())
    Path("large.hxe").write_bytes(an_image(*IDLE, *[SPIN] * 1500, name="large"))
    Path("tank.hxe").write_bytes(an_app())


@pytest.fixture
def done(capsys):
    """Runs a command, which is to succeed; its objects on stdout."""

    def run(*words):
        capsys.readouterr()
        status = main([*map(str, words), "--json"])
        said = capsys.readouterr()
        assert (status, said.err) == (0, "")
        return [json.loads(line) for line in said.out.splitlines()]

    return run


def wait_for(done, link, *apps):
    """The tasks, once these apps run."""
    deadline = Deadline()
    rows = done("ps", *link)
    while sorted(row["app_name"] for row in rows) != sorted(apps) and not deadline.over():
        time.sleep(0.1)
        rows = done("ps", *link)
    assert sorted(row["app_name"] for row in rows) == sorted(apps)
    return rows


def test_node_without_a_number_gets_one_by_its_unique_id(machine, done):
    assert done("nodes", *machine["uart"])[0]["node"] == 127
    assert done("nodes", "number", "desk", NUMBER, *machine["can"]) == [{"node": 5, "uid": "desk"}]
    (row,) = done("nodes", *machine["can"])
    assert (row["node"], row["uid"], row["board"]) == (5, "desk", "qemu_m4")


@pytest.mark.requirement("P-66")
@pytest.mark.parametrize(
    ("kind", "apps"),
    [("uart", ["large", "tank"]), ("can", ["tank", "large"]), ("repl", ["large", "tank"])],
)
def test_set_goes_through_its_life(machine, done, kind, apps):
    link = [*machine[kind], "--node", NUMBER]
    files = [f"{app}.hxe" for app in apps]
    assert done("push", *files, *link)[0]["node"] == 5
    wait_for(done, link, "large", "tank")
    assert done("status", *link)[0]["state"] == "trial"
    first = done("confirm", *link)[0]["digest"]
    assert done("push", "tank.hxe", "--no-activate", *link)[0]["digest"] != first
    assert done("status", *link)[0]["ready"]
    second = done("activate", "tank.hxe", *link)[0]["digest"]
    wait_for(done, link, "tank")
    assert done("rollback", *link)[0]["digest"] == first
    wait_for(done, link, "large", "tank")
    slots = {slot["digest"]: slot for slot in done("slots", *link)}
    assert (slots[first]["state"], slots[second]["state"]) == ("confirmed", "reverted")
    assert slots[first]["active"]
    assert [image["name"] for image in slots[first]["images"]] == apps
    assert len(done("events", *link, "--last", 8)) == 8
    # How many events tell the progress of a load depends on how long it takes.
    assert "task" in [event["kind"] for event in done("events", *link, "--last", 32)]


@pytest.mark.parametrize("kind", ["uart", "can", "repl"])
def test_app_is_asked_told_and_ended(machine, done, kind):
    link = [*machine[kind], "--node", NUMBER]
    before = {row["pid"] for row in done("ps", *link)}
    done("push", "tank.hxe", "--volatile", *link)
    (pid,) = {row["pid"] for row in done("ps", *link)} - before
    done("values", "set", "1.1", 7.5, "--pid", pid, *link)
    assert done("values", "get", "0x0101", "--pid", pid, *link)[0]["value"] == 7.5
    assert len(done("values", "--pid", pid, *link)) == 3
    assert done("call", "0x0201", "--pid", pid, *link)[0]["result"] == 7
    assert done("kill", pid, *link)[0]["pid"] == pid
    assert pid not in {row["pid"] for row in done("ps", *link)}


def test_command_at_the_repl_changes_nothing_but_what_it_is_about(machine, done):
    """The apps are never stopped: their steps go on from where they were."""
    link = machine["repl"]
    steps = []
    for _ in range(2):
        rows = wait_for(done, link, "large", "tank")
        steps += [row["accounted_steps"] for row in rows if row["app_name"] == "large"]
    assert steps[1] > steps[0] > 0


@pytest.mark.parametrize("kind", ["can", "repl"])
def test_staged_set_is_given_up_and_the_log_tells_it(machine, done, kind):
    link = [*machine[kind], "--node", NUMBER]
    before = done("log", *link)[-1]["seq"]
    digest = done("push", "large.hxe", "--no-activate", *link)[0]["digest"]
    assert done("status", *link)[0]["digest"] == digest
    done("abort", *link)
    assert done("status", *link)[0]["total"] == 0
    kinds = [event["kind"] for event in done("log", "--since", before, *link)]
    assert kinds[-2:] == ["provisioning.complete", "provisioning.aborted"]
    assert "task" not in kinds
