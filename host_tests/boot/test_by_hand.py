# SPDX-License-Identifier: MIT
"""A node on a port without a timer, and on one without a clock."""

import sys

import hsx
from bench.images import SPIN, an_image
from bench.runtime import RuntimeBench
from hsx import native
from hsx.boot import clock


def without_a_timer(folder):
    bench = RuntimeBench(folder / "none")
    bench.board.timer = lambda period_ms, callback: None
    bench.runtime.start()
    return bench


def test_a_board_without_a_timer_is_told_of(tmp_path):
    bench = without_a_timer(tmp_path)
    assert bench.runtime.by_hand
    assert bench.told("warning")[0]["detail"] == "no timer: call hsx.poll()"


def test_turns_boot_the_node_and_run_its_apps(tmp_path, monkeypatch):
    bench = without_a_timer(tmp_path)
    monkeypatch.setattr(hsx, "_kept", [bench.runtime])
    while not bench.runtime.booted():
        assert hsx.poll() >= 0
    (tmp_path / "spin.hxe").write_bytes(an_image(SPIN))
    pid = hsx.load(str(tmp_path / "spin.hxe"))
    hsx.poll()
    assert bench.node.vm.get(pid, native.STEPS) > 0
    hsx.kill(pid)


def test_a_board_with_a_timer_stops_it_and_needs_no_turn(tmp_path):
    bench = RuntimeBench(tmp_path / "none")
    bench.boot()
    assert not bench.runtime.by_hand
    bench.runtime.stop()
    assert bench.board.tick is None


def test_without_time_the_clock_goes_on_when_it_is_told(monkeypatch):
    # CPython's `time` has no ticks_ms either.
    assert not clock.HAS_TIME
    assert "time" in sys.modules
    monkeypatch.setattr(clock, "_told", [2**29 - 5])
    clock.advance(3)
    assert clock.now() == 2**29 - 2
    clock.pass_ms(4)
    assert clock.now() == 2
