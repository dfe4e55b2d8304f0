# SPDX-License-Identifier: MIT
"""A roll-out to three Cortex-M4 machines on one bus."""

import itertools
import json
import threading
import time
from pathlib import Path

import can
import pytest

from bench.images import IDLE, RET, ldi
from bench.images import an_image as image_of
from hsxctl import image_set, settings
from hsxctl.cli import main
from hsxctl.fleet import work
from repl import Repl

pytestmark = pytest.mark.target

NUMBERS = (3, 4, 5)
FAULT = 0xFF000000
_CHANNELS = itertools.count()


class Bridge:
    """Joins the SLCAN lines of machines and a virtual bus of this process: each hears all others,
    in the order in which this thread takes frames. There is no arbitration and no bit time."""

    def __init__(self, lines):
        self.channel = f"bridge-{next(_CHANNELS)}"
        self._buses = [can.Bus(interface="virtual", channel=self.channel)]
        for line in lines:
            bus = can.Bus(interface="slcan", channel=line, bitrate=500_000, sleep_after_open=0)
            self._buses.append(bus)
        self._over = False
        self._thread = threading.Thread(target=self._carries)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over = True
        self._thread.join()
        for bus in self._buses:
            bus.shutdown()

    def _carries(self):
        while not self._over:
            for bus in self._buses:
                message = bus.recv(0.001)
                while message is not None:
                    for other in self._buses:
                        if other is not bus:
                            other.send(message)
                    message = bus.recv(0)


@pytest.fixture
def bus(power_up, tmp_path, monkeypatch):
    """Options for the bus of three machines that run and have confirmed `pump`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(settings, "FILES", ())
    monkeypatch.setattr(work, "_ROUND", 0.2)
    # Three machines and the bridge between them share the cores of this one: an answer that takes
    # milliseconds on a bus may take a second.
    monkeypatch.setenv("HSXCTL_PATIENCE", "100")
    Path("pump.hxe").write_bytes(image_of(*IDLE, name="pump"))
    Path("valve.hxe").write_bytes(image_of(*IDLE, name="valve"))
    Path("bad.hxe").write_bytes(image_of(ldi(1, 1), FAULT, RET, name="bad"))
    machines = [power_up(fram=tmp_path / f"{n}.bin", uid=f"node{n}") for n in NUMBERS]
    for machine in machines:
        machine.wait_console("state=over")
        repl = Repl(machine)
        repl.run("import hsx; hsx.format('erase everything')")
        repl.close()
        assert main(["push", "pump.hxe", "--repl", machine.repl]) == 0
        assert main(["confirm", "--repl", machine.repl]) == 0
    with Bridge([machine.uart3 for machine in machines]) as bridge:
        link = ["--can", f"virtual:{bridge.channel}"]
        for number in NUMBERS:
            assert main(["nodes", "number", f"node{number}", str(number), *link]) == 0
        yield link


def told(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines() if line[:1] == "{"]


@pytest.mark.requirement("P-D3")
def test_bad_update_stops_after_the_canary_and_a_good_one_reaches_all(bus, capsys):
    old = image_set.bank([Path("pump.hxe")]).digest.hex()
    options = [*bus, "--node", "all", "--canaries", "1", "--healthy", "1", "--confirm", "--json"]
    assert main(["push", "bad.hxe", *options, "--undo"]) == 1
    *nodes, end = told(capsys)
    assert end["verdict"] == "undone"
    assert [node["state"] for node in nodes][1:] == ["waiting", "waiting"]
    assert [(node["set"], node["proved"]) for node in nodes] == [(old, True)] * 3
    assert "Nodes that wait were not touched." in Path("rollout.html").read_text()
    # What they remember: the others have never heard of a set on its way.
    for number in NUMBERS:
        assert main(["log", *bus, "--node", str(number), "--json"]) == 0
        kinds = [event["kind"] for event in told(capsys)]
        assert kinds.count("provisioning.rollback") == (number == 3)
        assert kinds.count("provisioning.persisted") == (3 if number == 3 else 2)
    time.sleep(1)  # counters of commands are seconds
    assert main(["push", "valve.hxe", *options]) == 0
    *nodes, end = told(capsys)
    assert end["verdict"] == "done"
    assert {node["set"] for node in nodes} == {image_set.bank([Path("valve.hxe")]).digest.hex()}
