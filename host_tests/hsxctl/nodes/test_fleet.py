# SPDX-License-Identifier: MIT
"""`hsxctl push --canaries` and `hsxctl fleet`, with nodes of this process on one bus."""

import itertools
import json
import re
import signal
import time
from argparse import Namespace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bench.apps import a_value
from bench.apps import an_app as app_of
from bench.images import SPIN
from bench.images import an_image as image_of
from bench.links import SIGNED, LinksBench, Terminal, wait_for
from bench.service import NODE
from hsxctl import image_set
from hsxctl.errors import ToolError
from hsxctl.fleet import record, work
from hsxctl.fleet import rollout as r
from hsxctl.reach import Reach
from waiting import until

FAULTS = 0xFF000000
QUICK = ["--healthy", "0.2", "--confirm", "--patience", "10"]
LEVEL = 0x0101


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(work, "_ROUND", 0.05)


@pytest.fixture
def bus(folder):
    """Four nodes that run and have confirmed `pump`, and options for all of them."""
    Path("bad.hxe").write_bytes(image_of(SPIN, FAULTS, name="bad", entry=4))
    Path("tank.hxe").write_bytes(app_of(values=[a_value(LEVEL, name="level")]))
    bench = LinksBench(3, 4, 5, 6)
    for node in bench.nodes:
        sent = image_set.bank([Path("pump.hxe")])
        assert node.send(node.stage(sent, nodes=[node.policy.number]), sent.data) == 0
        node.provisioning.confirm()
    with bench:
        yield bench, [*bench.can, *SIGNED, "--node", "all"]


def digest(*files):
    return image_set.bank([Path(file) for file in files]).digest.hex()


def told(said):
    return {row["node"]: row for row in said.facts if "node" in row}


def sets_sent(bench):
    return [len(bench.told("provisioning.persisted", n)) for n in range(len(bench.nodes))]


@pytest.mark.requirement("P-D3")
def test_set_goes_to_a_canary_and_then_to_the_rest(bus, hsxctl):
    bench, link = bus
    said = hsxctl("push", "valve.hxe", *link, "--canaries", 1, *QUICK, "--json")
    assert said.status == 0, said.err
    for node in range(4):
        wait_for(bench, "valve", node=node)
    rows = told(said)
    assert [row["state"] for row in rows.values()] == ["good"] * 4
    assert [row["wave"] for row in rows.values()] == ["canary", 1, 1, 1]
    assert {row["set"] for row in rows.values()} == {digest("valve.hxe")}
    assert said.facts[-1] == {"verdict": "done", "set": digest("valve.hxe")}
    order = re.findall(r"node (\d) on \S+: (\w+)", said.err)
    assert order.index(("3", "good")) < order.index(("4", "watched"))


@pytest.mark.requirement("P-D3")
@pytest.mark.parametrize("what", ["faults", "is out of its range"])
def test_bad_update_stops_after_the_canaries_and_they_are_back(bus, hsxctl, what):
    bench, link = bus
    before = sets_sent(bench)
    more = ["bad.hxe"] if what == "faults" else ["tank.hxe", "--expect", "level=2..3"]
    more += ["--patience", "1"]
    said = hsxctl("push", *more, *link, "--canaries", 2, *QUICK[:3], "--undo", "--json")
    assert said.status == 1
    for node in range(4):
        wait_for(bench, "pump", node=node)
    rows = told(said)
    assert [rows[node]["state"] for node in (5, 6)] == ["waiting", "waiting"]
    assert sets_sent(bench)[2:] == before[2:]
    assert {row["set"] for row in rows.values()} == {digest("pump.hxe")}
    assert all(row["proved"] for row in rows.values())
    assert said.facts[-1]["verdict"] == "undone"
    if what == "faults":
        assert rows[3]["state"] in ("failed", "undone")
    else:
        assert [rows[node]["state"] for node in (3, 4)] == ["undone", "undone"]
        assert "level is 1, not 2 to 3" in said.err
    # The report says so, to programs and to people.
    facts = json.loads(Path("rollout.json").read_text())
    assert facts["verdict"] == "undone"
    page = Path("rollout.html").read_text()
    assert "Nodes that wait were not touched." in page and digest("pump.hxe") in page


@pytest.fixture
def tank(bench, output):
    """Looks at a node whose level is 1 as a roll-out does that expects values in a range; gives
    what is wrong with it."""
    Path("tank.hxe").write_bytes(app_of(values=[a_value(LEVEL, name="level")]))
    sent, node = image_set.bank([Path("tank.hxe")]), bench.nodes[0]
    with bench.lock:
        assert node.send(node.stage(sent), sent.data) == 0

    with Reach(Namespace(uart=bench.uart[1]), output) as reach:

        def look(*expect):
            step = r.Step(r.WATCH, (NODE,))
            _, seen = next(work.Work(reach, sent, list(expect)).do(step, r.Rollout("")))
            assert seen.digest == sent.digest.hex() and not seen.is_fault
            return seen.trouble

        yield look


def test_value_is_well_from_one_end_of_its_range_to_the_other(tank):
    for low, high in ((1, 1), (1, 2), (0, 1), (0, 2), (-1e6, 1e6)):
        assert tank(("level", low, high)) == "", (low, high)
    assert tank(("level", 1.001, 2)) == "level is 1, not 1.001 to 2"
    assert tank(("level", 0, 0.999)) == "level is 1, not 0 to 0.999"
    assert tank(("level", 2, 3)) == "level is 1, not 2 to 3"


def test_each_value_that_is_expected_has_to_be_there_and_in_its_range(tank):
    well, ill = ("level", 0, 1), ("level", 2, 3)
    assert tank(well, ("lever", 0, 1)) == "there is no value lever"
    assert tank(well, ill) == tank(ill, well) == "level is 1, not 2 to 3"


class _Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.foreign = [], []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "!doctype"):
            self.open.append(tag)
        self.foreign += [value for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_page_is_whole_and_needs_nothing_else(bus, hsxctl):
    bench, link = bus
    assert hsxctl("push", "valve.hxe", *link, "--canaries", 1, *QUICK).status == 0
    tags = _Tags()
    text = Path("rollout.html").read_text()
    tags.feed(text)
    assert (tags.open, tags.foreign) == ([], [])
    assert text.count(digest("valve.hxe")) >= 5
    said = hsxctl("fleet", "show", "rollout.json")
    assert said.out.startswith(f"set {digest('valve.hxe')}: done. All nodes run the set.")
    assert len(said.out.splitlines()) == 6


def test_roll_out_is_taken_back_on_demand(bus, hsxctl):
    bench, link = bus
    assert hsxctl("push", "valve.hxe", *link, "--canaries", 1, *QUICK).status == 0
    said = hsxctl("fleet", "undo", "rollout.json", *bench.can, *SIGNED, "--json")
    assert said.status == 0
    assert said.facts[-1]["verdict"] == "undone"
    for node in range(4):
        wait_for(bench, "pump", node=node)


def test_node_that_refuses_is_told_again_when_it_can(bus, hsxctl):
    bench, link = bus
    bench.nodes[2].policy.max_code = 4
    words = ["push", "large.hxe", *link, "--canaries", 1, *QUICK, "--most-failures", "50%"]
    said = hsxctl(*words, "--json")
    assert (said.status, said.facts[-1]["verdict"]) == (1, "partly")
    assert "ENOSPC at verify: code: 8000" in told(said)[5]["reason"]
    bench.nodes[2].policy.max_code = 65536
    said = hsxctl("fleet", "resume", "rollout.json", "--retry", *bench.can, *SIGNED, "--json")
    assert (said.status, said.facts[-1]["verdict"]) == (0, "done")
    wait_for(bench, "large", node=2)


@pytest.mark.requirement("P-D3")
def test_ctrl_c_at_any_step_is_resumed_to_the_same_end(bus, hsxctl, monkeypatch):
    bench, link = bus
    happened = r.happened
    stops = {2, 4, 5, 7}  # looks, canary sent, canary watched, the rest on its way
    count = itertools.count()

    def interrupted(rollout, number, event, now):
        happened(rollout, number, event, now)
        if next(count) in stops:
            raise KeyboardInterrupt

    monkeypatch.setattr(r, "happened", interrupted)
    said = hsxctl("push", "valve.hxe", *link, "--canaries", 1, *QUICK)
    for _ in stops:
        assert said.status == 130
        assert "hsxctl: the roll-out has stopped; 'hsxctl fleet resume rollout.json'" in said.err
        said = hsxctl("fleet", "resume", "rollout.json", *bench.can, *SIGNED)
    assert said.status == 0, said.err
    assert r.verdict(record.load(Path("rollout.json")).rollout) == "done"
    for node in range(4):
        wait_for(bench, "valve", node=node)


def test_second_roll_out_does_not_take_the_place_of_an_open_one(bus, hsxctl):
    bench, link = bus
    rollout = r.Rollout(digest("valve.hxe"), nodes={3: r.Node()})
    kept = record.Record(Path("rollout.json"), rollout, ["valve.hxe"], [], "bus")
    kept.save(0)
    said = hsxctl("push", "valve.hxe", *link, "--canaries", 1)
    assert said.status == 2
    assert "rollout.json: a roll-out in this file is not over. Go on with it: " in said.err


@pytest.mark.parametrize(
    ("states", "is_kept"),
    [
        ([r.SICK, r.WAITING], True),
        ([r.STUCK, r.UNDONE], True),
        ([r.GOOD, r.FAILED], True),
        ([r.FAILED, r.WAITING], False),
        ([r.GOOD, r.GOOD], False),
        ([r.UNDONE, r.UNDONE], False),
    ],
)
def test_roll_out_that_has_left_its_set_on_nodes_is_not_overwritten(tmp_path, states, is_kept):
    nodes = {n: r.Node(state, 0, closed=True) for n, state in enumerate(states, 1)}
    path = tmp_path / "rollout.json"
    record.Record(path, r.Rollout("02" * 16, nodes=nodes), ["valve.hxe"], [], "bus").save(0)
    if is_kept:
        with pytest.raises(ToolError, match="may have left its set on 1") as refused:
            record.require_free(path)
        assert f"'hsxctl fleet undo {path}'" in refused.value.remedy
    else:
        record.require_free(path)


def test_other_files_than_it_was_begun_with_are_refused(hsxctl):
    rollout = r.Rollout("00" * 16, nodes={3: r.Node()})
    record.Record(Path("x.json"), rollout, [str(Path("valve.hxe"))], [], "bus").save(0)
    said = hsxctl("fleet", "resume", "x.json", "--can", "virtual:x")
    assert said.status == 1
    assert "EBADMSG: the files make set " in said.err and "Put back the files" in said.err
    Path("y.json").write_text("{}")
    said = hsxctl("fleet", "show", "y.json")
    assert said.status == 1 and "EBADMSG: no roll-out" in said.err


@pytest.mark.parametrize(
    "words",
    [
        ["--canaries", "-1"],
        ["--canaries", "1", "--most-failures", "101%"],
        ["--canaries", "1", "--expect", "level"],
        ["--canaries", "1", "--expect", "level=3..2"],
        ["--canaries", "1", "--healthy", "soon"],
        ["--canaries", "1", "--volatile"],
        ["--canaries", "1", "--state", "report.html"],
    ],
)
def test_roll_out_that_makes_no_sense_is_wrong_usage(hsxctl, words):
    try:
        status = hsxctl("push", "pump.hxe", "--can", "virtual:x", *words).status
    except SystemExit as ended:
        status = ended.code
    assert status == 2


@pytest.mark.parametrize("moment", ["stream", "watch"])
def test_ctrl_c_leaves_terminal_and_node_clean_and_a_file_that_goes_on(bench, hsxctl, moment):
    words = ["push", "large.hxe", *bench.uart, *SIGNED, "--canaries", "1", "--confirm"]
    terminal = Terminal(*words, "--healthy", "600" if moment == "watch" else "0")
    node = bench.nodes[0]
    begun = "provisioning.persisted" if moment == "watch" else "provisioning.started"
    until(lambda: bench.told(begun), 0.002)
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 130
    assert b"'hsxctl fleet resume rollout.json' goes on" in terminal.shown
    assert b"Traceback" not in terminal.shown
    if b"\x1b[?25l" in terminal.shown:
        assert terminal.shown.rindex(b"\x1b[?25h") > terminal.shown.rindex(b"\x1b[?25l")
    assert node.service.transfer is None
    kept = record.load(Path("rollout.json"))
    assert r.verdict(kept.rollout) == "open"
    assert "It is not over" in Path("rollout.html").read_text()
    kept.rollout.healthy = 0.1
    kept.save(0)
    later = ["--counter", int(time.time()) + 100]
    said = hsxctl("fleet", "resume", "rollout.json", *bench.uart, *SIGNED, *later)
    assert said.status == 0, said.err
    wait_for(bench, "large")
