# SPDX-License-Identifier: MIT
"""What need not be sent, and what is ended before it is whole."""

import threading
import time
from pathlib import Path

import pytest
import serial

from bench.images import SPIN
from bench.images import an_image as image_of
from bench.links import LINKS, SIGNED, LinksBench, link_of, wait_for
from bench.service import a_set, an_app
from hsx.link import can_master
from hsxctl import image_set, push_plan
from hsxctl.bank_image import BankImage
from hsxctl.cli import main
from waiting import until

# ---- the plan ----------------------------------------------------------------------------------


def of(sent: BankImage) -> set:
    return {(image.length, image.sha256) for image in sent.images}


LARGE = image_of(*[SPIN] * 2000, name="large")
BOTH = a_set(LARGE, an_app("pump", 1))


def test_all_is_sent_to_a_node_that_has_none_of_it():
    assert push_plan.blocks(BOTH, [set()]) is None
    assert push_plan.blocks(BOTH, [of(a_set(an_app("pump", 2)))]) is None
    assert push_plan.blocks(BOTH, []) is None


def test_directory_and_what_is_new_are_sent_and_no_more():
    plan = push_plan.blocks(BOTH, [of(a_set(LARGE))])
    pump = BOTH.images[1]
    wanted = {at // 512 for at in range(BOTH.images[0].offset)}
    wanted |= {at // 512 for at in range(pump.offset, pump.offset + pump.length)}
    assert plan == wanted
    assert len(plan) < len(BOTH.data) // 512 // 2


def test_what_one_node_lacks_is_sent_to_all():
    assert push_plan.blocks(BOTH, [of(BOTH), set()]) is None
    plan = push_plan.blocks(BOTH, [of(BOTH), of(a_set(LARGE))])
    assert plan == push_plan.blocks(BOTH, [of(a_set(LARGE))])


def test_directory_is_sent_even_if_nothing_is_new():
    assert push_plan.blocks(BOTH, [of(BOTH)]) == {0}


def test_bus_carries_only_what_the_nodes_lack(hsxctl, monkeypatch):
    sent = []
    announce = can_master.CanMaster._announce

    def counted(self, buf):
        if self._block != 0xFFFF:
            sent.append(self._block)
        return announce(self, buf)

    monkeypatch.setattr(can_master.CanMaster, "_announce", counted)
    with LinksBench(3, 9) as bench:
        link = [*bench.can, *SIGNED, "--node", "all"]
        assert hsxctl("push", "large.hxe", *link).status == 0
        for node in (0, 1):
            wait_for(bench, "large", node=node)
        assert hsxctl("confirm", *link).status == 0
        whole = len(set(sent))
        sent.clear()
        said = hsxctl("push", "large.hxe", "pump.hxe", *link)
        assert said.status == 0, said.err
        for node in (0, 1):
            wait_for(bench, "large", "pump", node=node)
        assert set(sent) == push_plan.blocks(
            image_set.bank([Path("large.hxe"), Path("pump.hxe")]), [of(a_set(LARGE))] * 2
        )
        assert whole >= 15 > 5 > len(set(sent))


def test_node_that_lacks_what_was_left_out_asks_for_it(bench, hsxctl, monkeypatch):
    monkeypatch.setattr(push_plan, "held", lambda reach, node: of(a_set(LARGE)))
    assert hsxctl("push", "large.hxe", "pump.hxe", *bench.can, *SIGNED).status == 0
    wait_for(bench, "large", "pump")


# ---- abort -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", LINKS)
def test_staged_set_is_given_up(bench, hsxctl, kind):
    link = [*link_of(bench, kind), *SIGNED]
    assert hsxctl("push", "pump.hxe", "--no-activate", *link).status == 0
    assert hsxctl("status", "--json", *bench.uart).facts[0]["ready"]
    assert "nothing is on its way now" in hsxctl("abort", *link).out
    assert hsxctl("status", "--json", *bench.uart).facts[0]["total"] == 0
    said = hsxctl("activate", "pump.hxe", *link)
    assert (said.status, bench.nodes[0].runs()) == (1, [])
    said = hsxctl("abort", *link)
    assert said.status == 1
    assert "ENOENT at begin: no transfer is on its way. It has ended" in said.err


def test_transfer_by_one_link_is_ended_over_another(bench, hsxctl, monkeypatch):
    results = []
    write = serial.Serial.write

    def slowly(port, data):
        time.sleep(0.1)  # as a line of 100 kbit/s would
        return write(port, data)

    monkeypatch.setattr(serial.Serial, "write", slowly)

    def aborts():
        until(lambda: bench.told("provisioning.started"))
        counter = str(int(time.time()) + 5000)
        results.append(main(["abort", *link_of(bench, "can"), *SIGNED, "--counter", counter]))

    thread = threading.Thread(target=aborts)
    thread.start()
    said = hsxctl("push", "large.hxe", *bench.uart, *SIGNED)
    thread.join()
    assert results == [0]
    assert said.status == 1
    assert "push: EBUSY at write: no transfer is on its way. It has ended, or somebody" in said.err
    assert bench.told("provisioning.aborted")
    assert bench.nodes[0].service.transfer is None


def test_command_to_end_transfers_wants_the_role_that_sends_them(bench, hsxctl):
    said = hsxctl("abort", *bench.uart, *SIGNED, "--key", "user.pem")
    assert said.status == 1
    assert "EACCES at begin: the key's role does not reach." in said.err


# ---- log ---------------------------------------------------------------------------------------


def test_log_is_all_that_the_node_remembers_or_what_came_since(bench, hsxctl):
    log = bench.nodes[0].log
    with bench.lock:
        for number in range(1000):
            log.emit("task", number % 200, {"state": "ready"})
    said = hsxctl("log", "--json", *bench.uart)
    seqs = [row["seq"] for row in said.facts]
    assert seqs == list(range(log.oldest, log.seq + 1))
    assert log.oldest > 1
    newest = seqs[-1]
    said = hsxctl("log", "--since", newest - 3, "--json", *bench.uart)
    assert [row["seq"] for row in said.facts] == [newest - 2, newest - 1, newest]
    assert hsxctl("log", "--since", newest, *bench.uart).out == ""
    line = hsxctl("log", "--since", newest - 1, *bench.uart).out
    assert line.startswith(f"{newest:6} [") and " task state=ready" in line
