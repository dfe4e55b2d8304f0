# SPDX-License-Identifier: MIT
"""`hsxctl values`, `call` and `events`, over both links."""

import signal
import threading
import time

import pytest

from bench.apps import LEVEL, a_command, a_value, an_app
from bench.links import LINKS, SIGNED, LinksBench, Terminal, link_of
from bench.service import NODE
from hsxctl.connect.line import LineNodes
from hsxctl.reach import Reach
from hsxctl.told import Told
from waiting import Deadline

VALUES = [
    a_value(0x0101, name="level"),
    a_value(0x0102, auth=1, name="limit"),
    a_value(0x0103, 1, name="serial"),
]
COMMANDS = [
    a_command(0x0201, name="reset"),
    a_command(0x0202, auth=2, name="purge"),
    a_command(0x0203, flags=1, name="open"),
    a_command(0x0205, handler=20, name="break"),
]


@pytest.fixture
def tank(bench):
    """A node that runs two instances of an app with values and commands."""
    with bench.lock:
        for _ in range(2):
            bench.nodes[0].load(an_app(values=VALUES, commands=COMMANDS))
    return bench


# ---- values ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", LINKS)
def test_values_are_listed_by_all_that_is_known_of_them(tank, hsxctl, kind):
    said = hsxctl("values", *link_of(tank, kind), "--pid", 2)
    lines = [line.split() for line in said.out.splitlines()]
    assert lines[0] == ["PID", "OID", "NAME", "VALUE", "UNIT", "AUTH", "GROUP"]
    assert lines[1] == ["2", "0x0101", "level", "1.0", "m", "0", "tank"]
    assert [line[2] for line in lines[1:]] == ["level", "limit", "serial"]


@pytest.mark.parametrize("kind", LINKS)
@pytest.mark.parametrize("name", ["level", "0x0101", "1.1"])
def test_value_is_set_and_got_by_name_and_by_oid(tank, hsxctl, kind, name):
    link = link_of(tank, kind)
    said = hsxctl("values", "set", name, "20.3", "--pid", 2, *link)
    assert (said.status, said.err) == (0, "")
    facts = hsxctl("values", "get", name, "--json", *link, "--pid", 2).facts
    assert [(row["pid"], row["value"]) for row in facts] == [(2, 20.296875)]
    assert hsxctl("values", "get", name, "--json", *link, "--pid", 1).facts[0]["value"] == 1.0


@pytest.mark.parametrize("kind", LINKS)
def test_value_that_is_not_public_is_set_with_a_key_whose_role_reaches(tank, hsxctl, kind):
    link = [*link_of(tank, kind), "--pid", 1]
    said = hsxctl("values", "set", "limit", 3, *link, "--network", 42)
    assert said.status == 1
    assert "EACCES at begin: command is not signed. Sign it: --key FILE." in said.err
    assert hsxctl("values", "set", "limit", 3, *link, *SIGNED, "--key", "user.pem").status == 0
    assert hsxctl("values", "get", "limit", "--json", *link).facts[0]["value"] == 3.0


def test_value_that_is_read_only_stays_as_it_is(tank, hsxctl):
    said = hsxctl("values", "set", "serial", 3, *tank.uart, "--pid", 1)
    assert said.status == 1
    assert "set: EPERM at " in said.err


def test_numbers_that_are_none_stay_what_json_can_say(tank, hsxctl):
    with tank.lock:
        tank.nodes[0].node.set_value(1, LEVEL, 0x7E00)
    said = hsxctl("values", "get", "level", "--json", *tank.uart, "--pid", 1)
    assert said.facts[0]["value"] == "nan"


@pytest.mark.parametrize("words", [["set", "level"], ["set", "level", "x"], ["get"]])
def test_values_without_what_they_need_are_wrong_usage(hsxctl, words):
    try:
        status = hsxctl("values", *words, "--uart", "nowhere").status
    except SystemExit as ended:
        status = ended.code
    assert status == 2


@pytest.mark.parametrize("command", [["values", "get"], ["call"]])
def test_name_that_is_not_there_is_refused_with_those_that_are(tank, hsxctl, command):
    said = hsxctl(*command, "lever", *tank.uart)
    assert said.status == 1
    assert "ENOENT: no 'lever'. There is " in said.err
    assert "level" in said.err or "reset" in said.err


@pytest.mark.parametrize("name", ["level", "0x0101"])
@pytest.mark.parametrize("words", [["values", "set"], ["values", "get"], ["call"]])
def test_name_that_two_apps_have_is_refused_with_both(tank, hsxctl, words, name):
    if words == ["call"]:
        name = {"level": "reset", "0x0101": "0x0201"}[name]
    number = [3] if "set" in words else []
    said = hsxctl(*words, name, *number, *tank.uart)
    assert said.status == 1 and said.out == ""
    assert f"2 have '{name}': 0x0" in said.err
    assert " of PID 1, 0x0" in said.err and "of PID 2. Say whose by --pid" in said.err


@pytest.mark.parametrize("kind", LINKS)
def test_changes_are_watched_as_they_happen(tank, hsxctl, kind):
    node = tank.nodes[0].node
    over = threading.Event()

    def changes():
        for bits in range(0x4000, 0x7000):
            if over.wait(0.05):
                return
            with tank.lock:
                node.set_value(1, 0x0102, bits, 3)
                node.set_value(2, LEVEL, bits)

    thread = threading.Thread(target=changes)
    thread.start()
    try:
        words = ["values", "watch", "level", "--pid", 2, "--count", 3]
        said = hsxctl(*words, "--json", *link_of(tank, kind))
    finally:
        over.set()
        thread.join()
    assert said.status == 0
    values = [row["value"] for row in said.facts]
    assert {(row["pid"], row["name"]) for row in said.facts} == {(2, "level")}
    assert len(values) == 4 and values == sorted(values)
    assert len(set(values[1:])) == 3


# ---- commands ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", LINKS)
def test_command_is_called_and_gives_its_result(tank, hsxctl, kind):
    link = link_of(tank, kind)
    assert hsxctl("call", "reset", "--pid", 1, *link).out.endswith(": reset: 7\n")
    assert hsxctl("call", "0x0201", "--pid", 2, "--json", *link).facts[0]["result"] == 7
    names = [row["name"] for row in hsxctl("call", "--json", "--pid", 1, *link).facts]
    assert names == ["reset", "purge", "open", "break"]


def test_command_that_is_not_public_wants_a_key_and_one_with_a_pin_its_token(tank, hsxctl):
    link = [*tank.uart, "--pid", 1]
    said = hsxctl("call", "purge", *link, *SIGNED, "--key", "user.pem")
    assert said.status == 1
    assert "call: EPERM at " in said.err
    assert hsxctl("call", "purge", *link, *SIGNED).out.endswith(": purge: 7\n")
    assert hsxctl("call", "open", *link).status == 1


def test_command_that_faults_is_an_error_with_what_to_do(tank, hsxctl):
    said = hsxctl("call", "break", *tank.uart, "--pid", 1)
    assert said.status == 1
    assert "EIO at begin: the command did not return. Its handler faulted" in said.err


# ---- events ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", LINKS)
def test_events_of_the_past_are_those_of_the_log(tank, hsxctl, kind):
    log = tank.nodes[0].log
    said = hsxctl("events", "--json", "--last", 1000, *link_of(tank, kind))
    assert said.status == 0
    names = ("seq", "ts", "kind", "pid", "data")
    assert [tuple(row[name] for name in names) for row in said.facts] == log.since(0)
    assert len(hsxctl("events", "--json", "--last", 3, *link_of(tank, kind)).facts) == 3


def test_more_events_than_a_window_all_come(tank, hsxctl):
    with tank.lock:
        for bits in range(0x3D00, 0x3D60):
            tank.nodes[0].node.set_value(1, LEVEL, bits)
    said = hsxctl("events", "--json", "--last", 90, *tank.uart)
    newest = tank.nodes[0].log.seq
    assert [row["seq"] for row in said.facts] == list(range(newest - 89, newest + 1))


def test_event_that_is_lost_on_the_way_comes_again(tank, hsxctl, monkeypatch):
    take = LineNodes.events
    lost = []

    def some(self, node, seconds):
        found = take(self, node, seconds)
        if len(found) > 4 and not lost:
            lost.append(found.pop(2))
        return found

    monkeypatch.setattr(LineNodes, "events", some)
    said = hsxctl("events", "--json", "--last", 10, *tank.uart)
    newest = tank.nodes[0].log.seq
    assert lost
    assert [row["seq"] for row in said.facts] == list(range(newest - 9, newest + 1))


def test_events_are_followed_until_ctrl_c(tank):
    terminal = Terminal("events", "--follow", "--last", 0, *tank.uart)
    deadline = Deadline()
    bits = 0x4000
    while b"value_changed" not in terminal.shown and not deadline.over():
        bits += 1
        with tank.lock:
            tank.nodes[0].node.set_value(1, LEVEL, bits)
        terminal.look(0.1)
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 130
    assert b"pid 1  value_changed new=" in terminal.shown
    assert b"hsxctl: interrupted" in terminal.shown


class Arguments:
    """Options as the parser gives them."""

    def __init__(self, uart):
        self.uart = uart
        self.node = NODE


def test_subscription_is_renewed_before_its_window_is_used_up(bench, output):
    with Reach(Arguments(bench.uart[1]), output) as reach:
        told = Told(reach)
        with bench.lock:
            for number in range(100):
                bench.nodes[0].log.emit("task", number, {"state": "ready"})
        found = []
        end = time.monotonic() + 5  # less than what it is renewed after anyway
        while len(found) < 100 and time.monotonic() < end:
            found += told.listen()
    assert [event.pid for _, event in found] == list(range(100))


def test_node_that_was_reset_is_heard_again(bench, output):
    node = bench.nodes[0]
    with Reach(Arguments(bench.uart[1]), output) as reach:
        told = Told(reach)
        with bench.lock:
            log = node.log
            log.seq, log.oldest, log._first, log._used = 0, 1, 0, 0
            node.runtime.links._requests[0]._subscription = None
            log.emit("boot", 0, {"state": "over", "source": "SD"})
        told._renewed[NODE] = (0, 0.0)  # as if its ten seconds were over
        found = []
        deadline = Deadline()
        while not found and not deadline.over():
            found = told.listen()
    assert [(node, event.seq, event.kind) for node, event in found] == [(NODE, 1, "boot")]
    assert output.noted == [f"hsxctl: node 5 on {bench.uart[1]} was reset"]


def test_events_of_several_nodes_say_whose_they_are(hsxctl):
    with LinksBench(3, 9) as bench:
        said = hsxctl("events", "--last", 1, *bench.can, "--node", "all")
    assert [line[:4] for line in said.out.splitlines()] == ["  3 ", "  9 "]
