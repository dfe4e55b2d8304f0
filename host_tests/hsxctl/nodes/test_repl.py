# SPDX-License-Identifier: MIT
"""`--repl`: every command over a node's REPL; nothing has to be signed there."""

import os
import pty
import signal
import tty
from pathlib import Path

import pytest

import hsx
from bench.apps import a_command, a_value
from bench.apps import an_app as app_of
from bench.links import Terminal, wait_for
from bench.service import SIZE, an_app
from pty_repl import PtyRepl
from waiting import until


@pytest.fixture
def repl(bench):
    """Options for the REPL of the first node."""
    hsx.attach(bench.nodes[0].runtime)
    with PtyRepl(bench.lock) as port:
        bench.port = port
        yield ["--repl", port.path]
    hsx._kept.clear()


def test_set_is_pushed_confirmed_and_rolled_back(bench, repl, hsxctl):
    said = hsxctl("push", "pump.hxe", "valve.hxe", *repl)
    assert (said.status, said.err) == (0, "")
    wait_for(bench, "pump", "valve")
    assert hsxctl("confirm", *repl).status == 0
    assert hsxctl("push", "valve.hxe", *repl).status == 0
    wait_for(bench, "valve")
    assert hsxctl("rollback", *repl).status == 0
    wait_for(bench, "pump", "valve")


def test_set_waits_for_activate_and_status_tells_its_digest(bench, repl, hsxctl):
    said = hsxctl("push", "pump.hxe", "--no-activate", "--json", *repl)
    digest = said.facts[0]["digest"]
    (status,) = hsxctl("status", "--json", *repl).facts
    assert (status["digest"], status["ready"]) == (digest, True)
    assert f"staged, ready, set {digest}" in hsxctl("status", *repl).out
    assert bench.nodes[0].runs() == []
    assert hsxctl("activate", digest, *repl).status == 0
    wait_for(bench, "pump")
    assert hsxctl("status", "--json", *repl).facts[0]["digest"] == ""


def test_manifest_and_volatile_image_go_as_over_a_wire(bench, repl, hsxctl):
    Path("hsx.toml").write_text('schema = 1\n[[image]]\nfile = "pump.hxe"\npriority = 3\n')
    assert hsxctl("push", "hsx.toml", "--persist", *repl).status == 0
    wait_for(bench, "pump")
    assert hsxctl("push", "valve.hxe", "--volatile", *repl).status == 0
    wait_for(bench, "pump", "valve")
    rows = {row["app_name"]: row for row in hsxctl("ps", "--json", *repl).facts}
    assert rows["pump"]["priority"] == 3
    assert rows["valve"]["program"] == "REPL"
    assert hsxctl("kill", rows["valve"]["pid"], *repl).status == 0
    wait_for(bench, "pump")


def test_values_commands_and_events_are_there(bench, repl, hsxctl):
    with bench.lock:
        app = app_of(values=[a_value(0x0101, auth=2, name="level")], commands=[a_command(0x0201)])
        bench.nodes[0].load(app)
    assert hsxctl("values", "set", "level", 3, *repl).status == 0
    assert hsxctl("values", "get", "level", "--json", *repl).facts[0]["value"] == 3.0
    assert "7" in hsxctl("call", "0x0201", *repl).out
    log = hsxctl("log", "--json", *repl).facts
    assert [row["seq"] for row in log] == list(range(1, bench.nodes[0].log.seq + 1))
    assert "value_changed" in hsxctl("events", *repl).out


def test_only_what_the_node_lacks_is_sent(bench, repl, hsxctl):
    assert hsxctl("push", "large.hxe", *repl).status == 0
    assert hsxctl("confirm", *repl).status == 0
    sent = bench.port.codes
    whole = sum("_hsx.write" in code for code in sent)
    sent.clear()
    assert hsxctl("push", "large.hxe", "pump.hxe", *repl).status == 0
    wait_for(bench, "large", "pump")
    assert whole > 10 > sum("_hsx.write" in code for code in sent)


def test_nothing_is_left_on_the_node_and_its_prompt_is_the_friendly_one(bench, repl, hsxctl):
    links = bench.nodes[0].runtime.links
    before = list(links.runners)
    assert hsxctl("ps", *repl).status == 0
    assert links.runners == before
    assert "_hsx" not in bench.port._names


def test_ctrl_c_ends_the_transfer_and_the_next_push_goes_on(bench, repl, hsxctl):
    terminal = Terminal("push", "large.hxe", *repl)
    until(lambda: sum("_hsx.write" in code for code in bench.port.codes) >= 5, 0.005)
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 130
    assert b"the node runs what it ran, what has arrived stays" in terminal.shown
    assert bench.told("provisioning.aborted")
    assert bench.nodes[0].service.transfer is None
    assert hsxctl("push", "large.hxe", *repl).status == 0
    wait_for(bench, "large")


def test_transfer_of_a_host_that_has_gone_is_given_up(bench, repl):
    node = bench.nodes[0]
    with bench.lock:
        link = node.runtime.links.repl()
        digest = bytes(16)
        import base64

        from hsx.link import command as c

        header = c.pack(c.STAGE, digest, node.policy.network, [5], total=2048) + bytes(64)
        assert link.begin(base64.b64encode(header), 2048) >= 0
        assert node.service.transfer is not None
        link._heard -= 11000
    until(lambda: node.service.transfer is None)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["push", "huge.hxe"], "ENOSPC at begin: set does not fit into a bank. Send fewer"),
        (["kill", 9], "ESRCH at begin: no task has this PID. Look what runs"),
        (["rollback"], "ENOENT: there is no such set. Look what is there"),
        (["abort"], "ENOENT at begin: no transfer is on its way"),
    ],
)
def test_refusal_is_exit_code_1_with_what_where_and_what_to_do(repl, hsxctl, words, wanted):
    assert SIZE < 9000 * 4
    said = hsxctl(*words, *repl)
    assert (said.status, said.out) == (1, "")
    assert said.err.startswith(f"hsxctl: node 5 on {repl[1]}: ") and wanted in said.err


def test_prompt_without_a_node_behind_it_is_exit_code_3(bench, repl, hsxctl):
    hsx._kept.clear()
    said = hsxctl("ps", *repl)
    assert (said.status, said.out) == (3, "")
    assert "no node runs: see the boot log. Is an HSX node here" in said.err


def test_port_without_a_repl_is_exit_code_3(hsxctl, monkeypatch):
    monkeypatch.setattr("hsxctl.connect.repl._PATIENCE", 0.3)
    handle, theirs = pty.openpty()
    tty.setraw(theirs)
    said = hsxctl("ps", "--repl", os.ttyname(theirs))
    os.close(handle)
    os.close(theirs)
    assert (said.status, said.out) == (3, "")
    assert "no REPL answers: could not enter raw repl. Check that this is" in said.err
    said = hsxctl("ps", "--repl", "/dev/no-such-port")
    assert (said.status, said.out) == (3, "")
    assert "cannot open the port: failed to access /dev/no-such-port" in said.err


def test_changed_set_without_its_key_is_not_signed_for_another_network(bench, repl, hsxctl):
    said = hsxctl("push", an_app_file(), "--network", 7, *repl)
    assert said.status == 1
    assert "EACCES at begin: command is for another network" in said.err


def an_app_file():
    Path("other.hxe").write_bytes(an_app("other", 2))
    return "other.hxe"
