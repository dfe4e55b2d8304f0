# SPDX-License-Identifier: MIT
"""`hsxctl sim --nodes`: unix nodes as processes, its console, and how it ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bench.images import IDLE, an_image
from bench_bus.command import PROGRAM, SimCommand
from hsxctl.cli import main
from waiting import until

pytestmark = pytest.mark.sim


@pytest.fixture(autouse=True)
def program():
    if not PROGRAM.is_file():
        pytest.skip(f"no {PROGRAM}: run 'make sim'")


def hsxctl(*words):
    done = subprocess.run(
        [sys.executable, "-m", "hsxctl", *map(str, words)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def await_end(pids):
    """Waits until no such process is left."""
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))


def test_nodes_have_numbers_names_and_a_store_that_outlives_them(tmp_path):
    image = tmp_path / "pump.hxe"
    image.write_bytes(an_image(*IDLE, name="pump"))
    folder = tmp_path / "nodes"
    with SimCommand("--nodes", 3, "--folder", folder) as bus:
        shown = hsxctl("nodes", *bus.can)
        assert [line.split()[:3] for line in shown.splitlines()[1:]] == [
            [str(n), f"node{n}", "sim"] for n in (1, 2, 3)
        ]
        hsxctl("push", image, *bus.can, "--node", "2")
        assert bus.ask("restart", 2)["state"] == "on"
        assert "pump" in hsxctl("ps", *bus.can, "--node", "2")
        bus.say("quit")
        assert bus.end()[0] == 0
    assert "boot source=FRAM" in (folder / "node-2.log").read_text()
    with SimCommand("--nodes", 3, "--folder", folder) as bus:
        assert "pump" in hsxctl("ps", *bus.can, "--node", "2")
        assert "pump" not in hsxctl("ps", *bus.can, "--node", "1")


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -9)]
)
def test_no_node_outlives_the_command(number, status):
    with SimCommand("--nodes", 3) as bus:
        pids = [node["pid"] for node in bus.hello["nodes"]]
        assert all(Path(f"/proc/{pid}").exists() for pid in pids)
        bus.process.send_signal(number)
        code, said = bus.end()
        assert code == status
        await_end(pids)
        assert ("are ended" in said) == (status == 130)


def test_node_that_ends_by_itself_is_told_and_can_be_started_again():
    with SimCommand("--nodes", 2) as bus:
        os.kill(bus.hello["nodes"][0]["pid"], signal.SIGKILL)
        told = bus.told()
        assert (told["node"], told["state"]) == (1, "off")
        assert [node["state"] for node in bus.ask("nodes")["nodes"]] == ["off", "on"]
        assert bus.ask("start 1")["state"] == "on"


def test_console_cuts_heals_and_counts():
    with SimCommand("--nodes", 2) as bus:
        bus.say("cut 1")
        assert "node2" in hsxctl("nodes", *bus.can)
        assert "node1" not in hsxctl("nodes", *bus.can)
        bus.say("heal")
        assert "node1" in hsxctl("nodes", *bus.can)
        bus.say("loss 1")
        before = bus.ask("stats")
        listed = subprocess.run([sys.executable, "-m", "hsxctl", "nodes", *bus.can])
        assert listed.returncode == 3
        after = bus.ask("stats")
        lost = [
            now["lost"] - then["lost"]
            for now, then in zip(after["stations"], before["stations"], strict=False)
        ]
        assert min(lost) >= 2  # WHO, twice; nodes ask for their set besides
        assert after["busy_bits"] > before["busy_bits"] and after["bus_ms"] > after["busy_ms"]
        for wrong in ("jump", "kill 9", "kill x", "loss 2", "cut"):
            bus.say(wrong)
        bus.say("quit")
        code, said = bus.end()
        assert code == 0
        for what in ("is no word", "there is no node 9", "'x' is no", "'2' is no", "'' is no"):
            assert what in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--nodes", "2", "--m4", "3"], "--m4 is a part of --nodes"),
        (["--nodes", "2", "--sd", "card.img"], "--sd is of one node"),
        (["--nodes", "2", "--target", "unix", "--firmware", "none"], "Build it with 'make sim'"),
    ],
)
def test_what_does_not_go_together_is_refused(words, said, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(["sim", "--port", "0", *words]) in (1, 2)
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "option",
    [
        ["--loss", "1.5"],
        ["--loss", "nan"],
        ["--delay", "-1"],
        ["--partition", "all"],
        ["--partition", "1@3-2"],
        ["--partition", "1@"],
        ["--nodes", "127"],
    ],
    ids=" ".join,
)
def test_options_out_of_range_are_wrong_usage(option, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["sim", "--nodes", "1", *option])
    assert ended.value.code == 2


def test_port_that_is_taken_is_told(tmp_path, capsys):
    with SimCommand("--nodes", 0) as bus:
        port = bus.place.partition(":")[2]
        assert main(["sim", "--nodes", "0", "--port", port]) == 1
        assert "Take another --port" in capsys.readouterr().err


def test_fleet_that_loses_frames_costs_little_more_bus_time_than_one_node(monkeypatch):
    from measure import bench_bus

    monkeypatch.setattr(bench_bus, "PROGRAM", PROGRAM)
    # A master that asks again because this machine is slow costs bits too.
    monkeypatch.setattr(bench_bus, "_PATIENCE", 8 * bench_bus._PATIENCE)
    size = 8 * 1024
    one = bench_bus.transfer(1, size=size)
    ten = bench_bus.transfer(10, 0.001, 1, size)
    assert sum(station["lost"] for station in ten.stats["stations"]) > 0
    # 40 STATUS more in a stream of 1024 frames, and what was lost.
    assert 1.02 < ten.bits / one.bits < 1.12
