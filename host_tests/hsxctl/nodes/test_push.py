# SPDX-License-Identifier: MIT
"""`hsxctl push` and what follows it, with nodes that ask for signatures, over both links."""

import itertools
import secrets
import signal
import time
from pathlib import Path

import can
import pytest
import serial

from bench.images import IDLE, an_image
from bench.links import LINKS, SIGNED, LinksBench, Terminal, link_of, wait_for
from bench.pty_uart import PtyUart
from bench.service import NETWORK, NODE
from hsx.link import command
from hsx.link.can_framing import BEGIN, LOAD, begin, ident
from hsxctl.cli import main
from hsxctl.connect.line import LineNodes
from hsxctl.connect.serial import SerialLink
from waiting import until

# ---- a set -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", LINKS)
def test_set_that_is_pushed_runs_and_is_on_trial(bench, hsxctl, kind):
    said = hsxctl("push", "pump.hxe", "valve.hxe", *link_of(bench, kind), *SIGNED)
    assert (said.status, said.err) == (0, "")
    assert "bytes, whole" in said.out
    wait_for(bench, "pump", "valve")
    said = hsxctl("status", *link_of(bench, kind), "--json")
    assert (said.facts[0]["state"], said.facts[0]["node"]) == ("trial", NODE)


@pytest.mark.parametrize("kind", LINKS)
def test_set_lives_through_all_its_commands(bench, hsxctl, kind):
    link = [*link_of(bench, kind), *SIGNED]
    assert hsxctl("push", "pump.hxe", *link).status == 0
    wait_for(bench, "pump")
    said = hsxctl("confirm", *link)
    assert said.status == 0, said.err
    said = hsxctl("push", "valve.hxe", "--no-activate", "--json", *link)
    wait_for(bench, "pump")
    digest = said.facts[0]["digest"]
    assert hsxctl("activate", digest, *link).status == 0
    wait_for(bench, "valve")
    assert hsxctl("rollback", *link).status == 0
    wait_for(bench, "pump")
    slots = hsxctl("slots", *link_of(bench, kind), "--json").facts
    assert [slot["state"] for slot in slots] == ["confirmed", "reverted"]
    assert slots[1]["digest"] == digest
    assert [image["name"] for slot in slots for image in slot["images"]] == ["pump", "valve"]


def test_answer_is_not_that_to_the_same_request_of_the_command_before(bench, hsxctl, monkeypatch):
    """Both ask for the slots first, and begin with the same sequence number by chance."""
    tags = itertools.count()
    monkeypatch.setattr(secrets, "randbelow", lambda limit: 5)
    monkeypatch.setattr(secrets, "token_bytes", lambda size: bytes([next(tags)] * size))
    link = [*link_of(bench, "can"), *SIGNED]
    assert hsxctl("push", "pump.hxe", *link).status == 0
    wait_for(bench, "pump")
    said = hsxctl("confirm", *link)
    assert said.status == 0, said.err


@pytest.mark.parametrize("kind", LINKS)
def test_set_that_does_not_start_is_no_success(bench, hsxctl, kind):
    """Each of its apps fits, both together do not."""
    link = [*link_of(bench, kind), *SIGNED]
    assert hsxctl("push", "pump.hxe", *link).status == 0
    assert hsxctl("confirm", *link).status == 0
    for name in ("large", "larger"):
        Path(f"{name}.hxe").write_bytes(an_image(*IDLE, name=name, bss_size=0x5000))
    said = hsxctl("push", "large.hxe", "larger.hxe", *link)
    assert said.status == 1 and "whole" not in said.out
    assert "the set does not run: ENOSPC: " in said.err
    assert "set does not start; bank A is active" in said.err
    wait_for(bench, "pump")


@pytest.mark.parametrize("kind", LINKS)
def test_rollback_says_whether_the_set_before_runs(bench, hsxctl, kind):
    link = [*link_of(bench, kind), *SIGNED]
    assert hsxctl("push", "pump.hxe", *link).status == 0
    assert hsxctl("confirm", *link).status == 0
    assert hsxctl("push", "valve.hxe", *link).status == 0
    said = hsxctl("rollback", *link)
    assert (said.status, "runs again" in said.out) == (0, True)
    said = hsxctl("rollback", *link)
    assert said.status == 1 and said.out == ""
    assert "the set does not run" in said.err and "bank A is active" in said.err
    wait_for(bench, "pump")


def test_set_is_activated_by_its_files_too(bench, hsxctl):
    link = [*bench.uart, *SIGNED]
    assert hsxctl("push", "pump.hxe", "valve.hxe", "--no-activate", *link).status == 0
    assert hsxctl("activate", "pump.hxe", "valve.hxe", *link).status == 0
    wait_for(bench, "pump", "valve")


@pytest.mark.parametrize("kind", LINKS)
def test_volatile_image_runs_beside_the_set_and_can_be_killed(bench, hsxctl, kind):
    link = [*link_of(bench, kind), *SIGNED]
    assert hsxctl("push", "pump.hxe", *link).status == 0
    wait_for(bench, "pump")
    assert hsxctl("push", "valve.hxe", "--volatile", *link).status == 0
    wait_for(bench, "pump", "valve")
    rows = hsxctl("ps", *link_of(bench, kind), "--json").facts
    pid = next(row["pid"] for row in rows if row["app_name"] == "valve")
    assert hsxctl("kill", pid, *link).status == 0
    wait_for(bench, "pump")


def test_manifest_says_what_its_images_are_given(bench, hsxctl):
    Path("hsx.toml").write_text(
        'schema = 1\n[[image]]\nfile = "valve.hxe"\npriority = 3\nquantum = 500\npid = 7\n'
        'version = "1.4"\n[[image]]\nfile = "pump.hxe"\n'
    )
    assert hsxctl("push", "hsx.toml", *bench.can, *SIGNED).status == 0
    wait_for(bench, "pump", "valve")
    rows = {row["app_name"]: row for row in hsxctl("ps", *bench.can, "--json").facts}
    assert (rows["valve"]["pid"], rows["valve"]["priority"]) == (7, 3)
    assert rows["valve"]["quantum"] == 500
    slot = hsxctl("slots", *bench.can, "--json").facts[0]
    assert [image["version"] for image in slot["images"]] == ["1.4", ""]


def test_every_node_that_is_named_has_the_set_and_the_others_have_nothing(hsxctl):
    with LinksBench(3, 9, 40) as bench:
        said = hsxctl("push", "pump.hxe", *bench.can, *SIGNED, "--node", "3,40")
        assert (said.status, said.err) == (0, "hsxctl: 2 of 2 nodes have it\n")
        wait_for(bench, "pump", node=0)
        wait_for(bench, "pump", node=2)
        assert bench.nodes[1].runs() == []
        said = hsxctl("push", "pump.hxe", *bench.can, *SIGNED, "--node", "all", "--json")
        assert [facts["node"] for facts in said.facts] == [3, 9, 40]
        wait_for(bench, "pump", node=1)


def test_node_that_refuses_is_told_and_the_others_have_the_set(hsxctl):
    with LinksBench(3, 9) as bench:
        bench.nodes[1].policy.max_code = 4
        said = hsxctl("push", "large.hxe", *bench.can, *SIGNED, "--node", "all")
        assert said.status == 1
        assert "node 9 on virtual:" in said.err and "ENOSPC at verify: code: 8000" in said.err
        assert "1 of 2 nodes have it" in said.err
        wait_for(bench, "large", node=0)
        assert bench.nodes[1].runs() == []


def test_node_that_is_not_there_holds_nobody_up(hsxctl):
    with LinksBench(3) as bench:
        said = hsxctl("push", "pump.hxe", *bench.can, *SIGNED, "--node", "3,8")
        assert said.status == 3
        assert "node 8 on virtual:" in said.err and "ETIMEDOUT" in said.err
        wait_for(bench, "pump")


def test_nodes_get_numbers_by_their_unique_ids(hsxctl):
    with LinksBench(127, 3) as bench:
        said = hsxctl("nodes", *bench.uart, "--json")
        assert [said.facts[0][key] for key in ("node", "uid")] == [127, "desk0"]
        assert [row["node"] for row in hsxctl("nodes", *bench.can, "--json").facts] == [3]
        assert "EEXIST: number 3 is taken" in hsxctl("nodes", "number", "desk0", 3, *bench.can).err
        assert hsxctl("nodes", "number", "desk0", 7, *bench.can).status == 0
        assert [row["node"] for row in hsxctl("nodes", *bench.can, "--json").facts] == [3, 7]
        said = hsxctl("nodes", "number", "none", 9, *bench.can)
        assert said.status == 3
        assert "no node none without a number answers. Check the unique id" in said.err


@pytest.mark.requirement("P-87")
def test_command_is_signed_for_the_nodes_that_are_meant_and_no_others(bench, hsxctl, monkeypatch):
    headers = []

    def push(self, nodes, header, stream, digest, progress, plan):
        headers.append(header)
        return dict.fromkeys(nodes, 0)

    monkeypatch.setattr(LineNodes, "push", push)
    hsxctl(*PUSH, *bench.uart, *SIGNED)
    assert [node for node in range(1, 128) if command.names(headers[0], node)] == [NODE]
    bench.nodes[0].policy.number = 127
    hsxctl(*PUSH, *bench.uart, *SIGNED)
    assert command.names(headers[1], 127)


# ---- how it ends -------------------------------------------------------------------------------

PUSH = ["push", "pump.hxe"]
REFUSALS = [
    ([*PUSH], "EACCES at begin: command is for another network. Say which one"),
    ([*PUSH, "--network", NETWORK], "EACCES at begin: command is not signed. Sign it"),
    ([*PUSH, *SIGNED, "--key", "user.pem"], "EACCES at begin: the key's role does not reach."),
    ([*PUSH, *SIGNED, "--key", "stranger.pem"], "EACCES at verify: the key is not trusted here."),
    (["push", "huge.hxe", *SIGNED], "ENOSPC at begin: set does not fit into a bank. Send fewer"),
    (["confirm", *SIGNED], "ENOENT: there is no such set. Look what is there"),
    (["rollback", *SIGNED], "ENOENT: there is no such set. Look what is there"),
    (["activate", "pump.hxe", *SIGNED], "ENOENT at begin: there is no such set. Look"),
    (["kill", 9, *SIGNED], "ESRCH at begin: no task has this PID. Look what runs"),
    (["kill", 9, "--network", NETWORK], "kill: EACCES at begin: command is not signed. Sign it"),
]


@pytest.mark.requirement("P-87")
@pytest.mark.parametrize("kind", LINKS)
def test_refusal_is_exit_code_1_with_what_where_and_what_to_do(bench, hsxctl, kind):
    link = link_of(bench, kind)
    pushes_are_slow = kind == "can"
    for words, wanted in REFUSALS[4:] if pushes_are_slow else REFUSALS:
        said = hsxctl(*words, *link)
        assert (said.status, said.out) == (1, "")
        assert said.err.startswith(f"hsxctl: node 5 on {link[1]}: ")
        assert wanted in said.err, words


@pytest.mark.parametrize("kind", LINKS)
def test_counter_that_was_used_is_refused_and_the_clock_s_own_is_tried_again(bench, hsxctl, kind):
    link = [*link_of(bench, kind), *SIGNED]
    high = ["--counter", str(int(time.time()) + 1000)]
    assert hsxctl(*PUSH, *link, *high).status == 0
    wait_for(bench, "pump")
    said = hsxctl("push", "valve.hxe", *link, *high)
    assert said.status == 1
    assert "EPERM at begin: command was seen before. Its counter is the time" in said.err


def test_commands_within_a_second_are_all_done(bench):
    link = [*bench.uart, *SIGNED]
    assert main(["push", "pump.hxe", *link]) == 0
    wait_for(bench, "pump")
    assert main(["confirm", *link]) == 0
    assert main(["push", "valve.hxe", *link]) == 0
    wait_for(bench, "valve")


def test_epoch_below_the_floor_is_refused(bench, hsxctl):
    link = [*bench.uart, *SIGNED]
    assert hsxctl("push", "pump.hxe", *link).status == 0
    wait_for(bench, "pump")
    assert hsxctl("confirm", *link).status == 0
    with bench.lock:
        bench.nodes[0].provisioning.store.superblocks.state.floor = 5
    said = hsxctl("push", "valve.hxe", *link)
    assert said.status == 1
    assert "EPERM at verify: epoch is below the floor. The node takes nothing that old" in said.err


@pytest.mark.parametrize(
    ("words", "status", "wanted"),
    [
        (["--uart", "/dev/no-such-port"], 3, "cannot open the port"),
        (["--can", "no-such-interface:0"], 3, "cannot open the CAN interface"),
        (["--can", "virtual:nobody-is-here"], 3, "no node answers. Check bit rate and wires"),
        ([], 2, "one of --uart, --can and --repl is needed"),
        (["--uart", "a", "--can", "b"], 2, "one of --uart, --can and --repl is needed"),
        (["--uart", "a", "--key", "gone.pem"], 1, "gone.pem: ENOENT"),
        (["--uart", "a", "--key", "pump.hxe"], 1, "no private Ed25519 key in PEM form"),
    ],
)
def test_what_is_missing_has_its_exit_code_and_is_named(hsxctl, words, status, wanted):
    said = hsxctl("push", "pump.hxe", *words)
    assert (said.status, said.out) == (status, "")
    assert wanted in said.err


def test_silence_on_a_port_is_exit_code_3(hsxctl, monkeypatch):
    hello = SerialLink.hello
    monkeypatch.setattr(SerialLink, "hello", lambda link: hello(link, 0.3))
    uart = PtyUart()
    said = hsxctl(*PUSH, "--uart", uart.path)
    uart.close()
    assert (said.status, said.out) == (3, "")
    assert f"{uart.path}: no node answers. Check that this is the node's link" in said.err


def test_cable_that_is_pulled_is_exit_code_3_and_the_next_push_goes_on(bench, hsxctl, monkeypatch):
    read = serial.Serial.read

    def pulled(port, size=1):
        if bench.told("provisioning.started"):
            raise serial.SerialException("device disconnected")
        return read(port, size)

    with monkeypatch.context() as patch:
        patch.setattr(serial.Serial, "read", pulled)
        said = hsxctl("push", "large.hxe", *bench.uart, *SIGNED)
    assert (said.status, said.out) == (3, "")
    assert "the line is lost: device disconnected. Plug it in and try again" in said.err
    assert hsxctl("push", "large.hxe", *bench.uart, *SIGNED).status == 0
    wait_for(bench, "large")


def test_wrong_node_is_exit_code_3(bench, hsxctl):
    said = hsxctl(*PUSH, *bench.uart, *SIGNED, "--node", "6")
    assert said.status == 3
    assert "here is node 5, not 6. Is this the right port?" in said.err
    said = hsxctl("status", *bench.can, "--node", "6")
    assert said.status == 3
    assert "node 6 does not answer. Check its number" in said.err


def test_one_of_several_nodes_has_to_be_named(hsxctl):
    with LinksBench(3, 9) as bench:
        said = hsxctl(*PUSH, *bench.can, *SIGNED)
        assert said.status == 2
        assert "nodes 3, 9 answer. Say which: --node N, or --node all." in said.err


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (b"", "image ends inside its header"),
        (b"HSXE" + bytes(60), "EBADMSG"),
    ],
)
def test_damaged_file_is_not_sent(hsxctl, content, wanted):
    Path("bad.hxe").write_bytes(content)
    for more in ([], ["--volatile"]):
        said = hsxctl("push", "bad.hxe", "--uart", "/dev/no-such-port", *more)
        assert (said.status, said.out) == (1, "")
        assert said.err.startswith("hsxctl: bad.hxe: ") and wanted in said.err


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("schema = 2", "hsx.toml:1: manifest has no schema = 1. See docs/sd_manifest.md."),
        ('schema = 1\n[[image]]\nfile = "gone.hxe"', "gone.hxe: ENOENT"),
        ('schema = 1\n[[image]]\nfile = "pump.hxe"\ncaps = 1', "pump.hxe: caps goes with a card"),
        (f'schema = 1\n[[image]]\nfile = "pump.hxe"\nsha256 = "{"0" * 64}"', "another SHA-256"),
        ("schema = 1", "a set has 1 to 16 images"),
    ],
)
def test_manifest_that_cannot_be_sent_is_refused_with_what_to_do(hsxctl, text, wanted):
    Path("hsx.toml").write_text(text)
    said = hsxctl("push", "hsx.toml", "--uart", "/dev/no-such-port")
    assert said.status == 1
    assert wanted in said.err


def test_two_images_of_one_name_are_refused(hsxctl):
    said = hsxctl("push", "pump.hxe", "pump.hxe", "--uart", "/dev/no-such-port")
    assert said.status == 1
    assert "two images are called pump" in said.err


def test_second_master_on_the_bus_is_refused_and_nothing_is_sent(bench, hsxctl):
    with can.Bus(interface="virtual", channel=bench.channel) as other:
        data = begin(1, 512, 17, 0)
        assert data[1] & 0x0F == BEGIN
        task = other.send_periodic(
            can.Message(arbitration_id=ident(LOAD), data=data, is_extended_id=False), 0.2
        )
        said = hsxctl(*PUSH, *bench.can, *SIGNED, "--node", "5")
        task.stop()
    assert (said.status, said.out) == (1, "")
    assert "EBUSY: another master is sending on this bus. Nothing was sent: wait" in said.err


def test_refusal_is_one_object_for_a_program(bench, hsxctl):
    said = hsxctl(*PUSH, *bench.uart, "--network", NETWORK, "--json")
    assert said.status == 1
    assert said.facts == [
        {"node": 5, "errno": "EACCES", "where": "begin", "detail": "command is not signed"}
    ]


# ---- Ctrl-C, and the screen --------------------------------------------------------------------


def test_terminal_shows_a_bar_and_what_has_become_of_the_node(bench):
    terminal = Terminal("push", "large.hxe", *bench.uart, *SIGNED)
    assert terminal.end() == 0
    assert b"node 5 on " in terminal.shown and "━".encode() in terminal.shown
    assert b"/s" in terminal.shown and b"bytes, whole" in terminal.shown
    assert terminal.shown.rindex(b"\x1b[?25h") > terminal.shown.rindex(b"\x1b[?25l")


def test_ctrl_c_ends_the_session_on_the_node_and_gives_the_terminal_back(bench, hsxctl):
    terminal = Terminal("push", "large.hxe", *bench.uart, *SIGNED, "--baud", "2400")
    until(lambda: bench.told("provisioning.started"))
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 130
    assert b"the node runs what it ran, what has arrived stays" in terminal.shown
    assert terminal.shown.rindex(b"\x1b[?25h") > terminal.shown.rindex(b"\x1b[?25l")
    assert bench.told("provisioning.aborted")
    assert bench.nodes[0].service.transfer is None
    assert hsxctl("push", "large.hxe", *bench.uart, *SIGNED).status == 0
    wait_for(bench, "large")


def test_ctrl_c_on_the_bus_frees_the_claim(bench, hsxctl, monkeypatch):
    told = []

    def interrupted(master, total, progress):
        if any(peer.joined for peer in master.peers.values()) and not told:
            told.append(True)
            raise KeyboardInterrupt

    monkeypatch.setattr("hsxctl.connect.bus._tell", interrupted)
    said = hsxctl("push", "large.hxe", *bench.can, *SIGNED)
    assert said.status == 130
    assert "push given up: the node runs what it ran" in said.err
    assert hsxctl("push", "large.hxe", *bench.can, *SIGNED).status == 0
    wait_for(bench, "large")


# ---- settings ----------------------------------------------------------------------------------


def test_settings_make_a_daily_command_short(bench, hsxctl):
    Path("home.toml").write_text(f'can = "virtual:x"\nnetwork = {NETWORK}\nkey = "admin.pem"\n')
    Path("hsxctl.toml").write_text(f'uart = "{bench.uart[1]}"\nnode = {NODE}\n')
    assert hsxctl("push", "pump.hxe").status == 0
    wait_for(bench, "pump")
    assert hsxctl("ps", *bench.can).status == 0


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("baud = ", "hsxctl.toml: no TOML"),
        ("port = 3", "hsxctl.toml: unknown key 'port'. There are: uart, baud"),
        ('network = "a"', "hsxctl.toml: 'network' is no int"),
        ('uart = "a"\ncan = "b"', "hsxctl.toml: both uart and can"),
    ],
)
def test_settings_that_are_wrong_are_wrong_usage(hsxctl, text, wanted):
    Path("hsxctl.toml").write_text(text)
    said = hsxctl("ps")
    assert said.status == 2
    assert wanted in said.err
