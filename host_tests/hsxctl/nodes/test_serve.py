# SPDX-License-Identifier: MIT
"""`hsxctl serve`: nodes that boot with nothing ask, and get their set."""

from pathlib import Path

import pytest

from bench.links import SIGNED, LinksBench, wait_for
from bench.service import an_app
from hsx.errors import EACCES, name
from hsx.ticks import wrap


def ask(bench):
    """All nodes do as at the end of a boot that has found nothing."""
    with bench.lock:
        for node in bench.nodes:
            node.clock.now = wrap(int(bench.now * 1000))
            node.runtime.begin_asking(node.runtime.links)


@pytest.fixture
def sets(folder):
    """A folder with a set for all, and one for node 4."""
    for place, app in (("site", "pump"), ("site/node-4", "valve")):
        Path(place).mkdir()
        (Path(place) / f"{app}.hxe").write_bytes(an_app(app, 1))
    return "site"


@pytest.mark.requirement("P-62", "P-67")
def test_a_fleet_that_asks_gets_its_sets_and_runs_them(hsxctl, sets):
    with LinksBench(3, 4, 5) as bench:
        ask(bench)
        said = hsxctl("serve", *bench.can, "--set", sets, *SIGNED, "--count", 3, "--json")
        assert said.status == 0, said.err
        assert sorted(fact["node"] for fact in said.facts) == [3, 4, 5]
        wait_for(bench, "pump", node=0)
        wait_for(bench, "valve", node=1)
        wait_for(bench, "pump", node=2)
        with bench.lock:
            rows = [row for row in bench.nodes[0].service.report if row[0] == "can"]
        assert [row[1] for row in rows] == ["runs"]


def test_a_node_that_has_the_set_is_left_alone(hsxctl, sets, bench):
    ask(bench)
    assert hsxctl("serve", *bench.can, "--set", sets, *SIGNED, "--count", 1).status == 0
    wait_for(bench, "pump")
    ask(bench)
    said = hsxctl("serve", *bench.can, "--set", sets, *SIGNED, "--seconds", 2, "--json")
    assert (said.status, said.facts) == (0, [])


def test_a_node_of_another_network_gets_no_answer(hsxctl, sets, bench):
    ask(bench)
    said = hsxctl("serve", *bench.can, "--set", sets, "--key", "admin.pem", "--seconds", 2)
    assert (said.status, said.out) == (0, "")


@pytest.mark.requirement("P-87")
def test_a_set_that_nobody_signed_is_refused_and_the_node_runs_nothing(hsxctl, sets, bench):
    ask(bench)
    said = hsxctl("serve", *bench.can, "--set", sets, *SIGNED[:2], "--seconds", 5)
    assert said.status == 1
    assert name(EACCES) in said.err
    with bench.lock:
        assert bench.nodes[0].runs() == []


def test_a_folder_without_images_is_told_at_once(hsxctl, folder, bench):
    Path("nothing").mkdir()
    said = hsxctl("serve", *bench.can, "--set", "nothing")
    assert said.status == 1
    assert "no images" in said.err
