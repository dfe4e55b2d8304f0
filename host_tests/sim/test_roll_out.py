# SPDX-License-Identifier: MIT
"""A roll-out to unix nodes on the bench bus, whose `hsxctl sim --nodes` runs beside."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.images import IDLE, RET, ldi
from bench.images import an_image as image_of
from hsxctl import image_set, settings
from hsxctl.cli import main
from hsxctl.fleet import work

pytestmark = pytest.mark.sim

NODES = 6
FAULT = 0xFF000000


@pytest.fixture
def bus(program, tmp_path, monkeypatch):
    """Options for the bus, and a way to type at its console."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(settings, "FILES", ())
    monkeypatch.setattr(work, "_ROUND", 0.2)
    words = ["sim", "--nodes", str(NODES), "--target", "unix", "--firmware", str(program)]
    bench = subprocess.Popen(
        [sys.executable, "-m", "hsxctl", *words, "--port", "0", "--fast", "--json"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    ready = json.loads(bench.stdout.readline())

    def type_in(line):
        bench.stdin.write(line + "\n")
        bench.stdin.flush()

    port = ready["channel"].rpartition(":")[2]
    yield ["--can", f"hsx-bench:{port}", "--node", "all"], type_in
    type_in("quit")
    bench.stdin.close()
    bench.stdout.read()
    assert bench.wait(20) == 0


def told(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines() if line[:1] == "{"]


def digest(file):
    return image_set.bank([Path(file)]).digest.hex()


@pytest.mark.requirement("P-D3")
def test_bad_update_stops_after_the_canaries_which_are_back(bus, capsys):
    link, type_in = bus
    for name in ("pump", "valve"):
        Path(f"{name}.hxe").write_bytes(image_of(*IDLE, name=name))
    Path("bad.hxe").write_bytes(image_of(ldi(1, 1), FAULT, RET, name="bad"))
    quick = ["--canaries", "2", "--healthy", "0.5", "--confirm", "--json"]
    assert main(["push", "pump.hxe", *link, *quick]) == 0
    assert main(["push", "bad.hxe", *link, *quick, "--undo"]) == 1
    *nodes, end = told(capsys)[NODES + 1 :]
    assert end["verdict"] == "undone"
    assert [node["state"] for node in nodes][2:] == ["waiting"] * (NODES - 2)
    assert [(n["set"], n["bank"], n["proved"]) for n in nodes] == [
        (digest("pump.hxe"), "confirmed", True)
    ] * NODES
    # A node without power: its roll-out halts, and goes on when it is back.
    type_in("kill 4")
    assert main(["push", "valve.hxe", *link[:2], "--node", "1,2,3,4,5,6", *quick]) == 1
    *nodes, end = told(capsys)
    assert (nodes[3]["state"], end["verdict"]) == ("absent", "partly")
    type_in("start 4")
    while main(["status", *link[:2], "--node", "4"]):
        pass
    capsys.readouterr()
    assert main(["fleet", "resume", "rollout.json", *link[:2], "--json"]) == 0
    *nodes, end = told(capsys)
    assert end["verdict"] == "done"
    assert {node["set"] for node in nodes} == {digest("valve.hxe")}
