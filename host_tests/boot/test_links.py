# SPDX-License-Identifier: MIT
"""The pace that a node's CAN links announce: measured at boot from medium, CPU and ring."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.apps import AppsBench
from bench.runtime import RuntimeBench
from hsx.boot.links import Links, pace
from hsx.link import can_framing as can
from hsx.link.can_node import CanNode
from hsx.store.layout import layout_of
from hsx.store.store import CHUNK
from powercut.medium import Medium
from store.bench import Faulty

BLOCK = 64  # frames
POLL, STALL = 10_000, 5_000  # us
BURST = 4  # frames
SECOND = 1_000_000  # us


class SlowMedium(Medium):
    """Calls `taken` with the bytes of each reading."""

    def __init__(self, size: int) -> None:
        super().__init__(bytearray(b"\xff" * size))
        self.taken = lambda count: None

    def _read(self, addr: int, buf: memoryview) -> None:
        self.taken(len(buf))
        super()._read(addr, buf)


class OneBus:
    """A board with a CAN bus alone."""

    NAME = "one bus"

    def unique_id(self) -> bytes:
        return b"12345678"

    def links(self, made: Links) -> list:
        made.can("CAN:%d:0")
        return []


def a_node(ms_per_block: int, size: int = 0x20000) -> Links:
    """The links of a node whose medium takes so long to read a block."""
    medium = SlowMedium(size)
    bench = RuntimeBench("nowhere", medium)
    medium.taken = lambda count: bench.clock.forward(ms_per_block * count // CHUNK)
    return Links(OneBus(), bench.service)


def most_that_wait(kept: int, block_us: int, frame_us: int) -> int:
    """Frames in the ring at worst in a second, by a clock that follows each: they come in bursts,
    `kept` a second; the node looks every POLL, is late by STALL each time, writes each block."""
    now = taken = worst = 0
    while now < SECOND:
        now += POLL + STALL
        worst = max(worst, now * kept // SECOND + BURST - taken)
        while taken < now * kept // SECOND and now < SECOND:
            taken += 1
            now += frame_us + (0 if taken % BLOCK else block_us)
            worst = max(worst, now * kept // SECOND + BURST - taken)
    return worst


@given(
    st.integers(0, 60_000),
    st.integers(10, 300),
    st.integers(16, 200),
    st.sampled_from((125_000, 500_000, 1_000_000)),
)
def test_the_ring_holds_what_comes_at_the_pace(block_us, frame_us, frames, bitrate):
    kept, _ = pace(block_us, frame_us, frames, bitrate)
    assert most_that_wait(kept, block_us, frame_us) <= frames


def test_a_faster_host_would_overrun_a_ring_that_waits_for_the_medium():
    kept, by = pace(26_000, 20, 72, 500_000)
    assert by == "FRAM"
    assert most_that_wait(kept * 2, 26_000, 20) > 72


@given(st.integers(0, 60_000), st.integers(10, 300), st.integers(16, 200))
def test_a_node_that_is_slower_announces_no_more(block_us, frame_us, frames):
    kept, _ = pace(block_us, frame_us, frames, 500_000)
    assert pace(block_us + 1000, frame_us, frames, 500_000)[0] <= kept
    assert pace(block_us, frame_us + 50, frames, 500_000)[0] <= kept
    assert pace(block_us, frame_us, frames - 8, 500_000)[0] <= kept


def test_the_slowest_of_bus_cpu_and_medium_sets_the_pace():
    assert pace(0, 50, 72, 500_000) == (4504, "bus")
    assert pace(0, 50, 72, 125_000) == (1126, "bus")
    assert pace(26_000, 50, 72, 500_000)[1] == "FRAM"
    assert pace(2_000, 400, 72, 500_000)[1] == "CPU"


def test_a_slow_medium_is_announced():
    made = a_node(ms_per_block=13)
    assert made.paces == [("CAN:127:0", pace(26_000, 0, 72, 500_000)[0], "FRAM")]
    assert ready(made) == made.paces[0][1] >> 6


def test_a_slow_cpu_is_announced(monkeypatch):
    bench = RuntimeBench("nowhere", Medium(bytearray(0x20000)))
    seen = []

    def frame(self, ident, data, now) -> None:
        seen.append((ident, len(data)))
        if len(seen) % 5 == 0:
            bench.clock.forward(1)

    monkeypatch.setattr(CanNode, "frame", frame)
    made = Links(OneBus(), bench.service)
    each = len(seen) // 5 * 2000 // len(seen)
    assert made.paces == [("CAN:127:0", pace(0, each, 72, 500_000)[0], "CPU")]
    assert ready(made) == made.paces[0][1] >> 6


def test_a_node_that_keeps_up_with_the_bus_asks_for_no_pace():
    made = a_node(ms_per_block=0)
    assert made.paces == [("CAN:127:0", 4504, "bus")]
    assert ready(made) == 0


def test_what_is_measured_leaves_no_trace_on_the_engine():
    engine = a_node(ms_per_block=13)._engines[0]
    assert engine.foreign == 0
    assert engine.next_frame(bytearray(8)) == -1


def test_a_medium_that_does_not_answer_sets_no_pace():
    bench = RuntimeBench("nowhere", Faulty(bytearray(0x20000), fail_at=0, forever=True))
    assert Links(OneBus(), bench.service).paces[0][2] != "FRAM"


@pytest.mark.parametrize("size", (0x2000, 0x8000, 0x20000))
def test_each_layout_with_banks_is_measured(size):
    by = a_node(13, size).paces[0][2]
    assert by == ("FRAM" if layout_of(size).bank_base else "bus")


def test_a_board_without_a_store_has_the_pace_of_its_cpu():
    bench = AppsBench(store=False)
    assert Links(OneBus(), bench.service).paces[0][1] > 0


def ready(made: Links) -> int:
    """The pace in a STATUS READY, in 64 frames a second."""
    engine = made._engines[0]
    engine.number = 5
    engine._status = 1
    buf = bytearray(8)
    ident = engine.next_frame(buf)
    assert ident == can.ident(can.LOAD, 5)
    assert buf[1] == 0x13
    return buf[3] & 0x7F


# ---- links that cannot be opened ----------------------------------------------------------------


class Stubborn:
    """A runner that opens at its third attempt."""

    name = "CAN"

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.attempts = self.polls = 0

    def open(self) -> None:
        self.attempts += 1
        if self.attempts < 3:
            raise self.error

    def poll(self, now: int) -> int:
        self.polls += 1
        return 0

    def close(self) -> None:
        """Nothing to give back."""


@pytest.mark.parametrize(
    ("error", "code", "detail"),
    [
        (OSError(19, ""), "ENODEV", "error of the medium"),
        (OSError("CAN init failed"), "EIO", "CAN init failed"),
        (ValueError("CAN(1) init failure"), "EIO", "CAN(1) init failure"),
    ],
)
def test_a_link_that_cannot_be_opened_is_told_once_and_tried_again(error, code, detail):
    bench = AppsBench(store=False)
    made = Links(OneBus(), bench.service)
    stubborn, other = Stubborn(error), Stubborn(error)
    other.attempts = 2
    made.runners = [stubborn, other]
    made.open()
    for _ in range(2500):
        bench.clock.forward(10)
        made.poll(bench.clock())
    assert (stubborn.attempts, other.polls) == (3, 2500)
    assert stubborn.polls == 501
    told = [event[-1] for event in bench.service.events.since(0)]
    warning = {"source": "CAN", "code": code, "detail": detail}
    assert [data for data in told if data.get("source") == "CAN"] == [warning]


def test_links_are_busy_while_a_session_is_under_way():
    bench = RuntimeBench("nowhere", Medium(bytearray(0x20000)))
    made = Links(OneBus(), bench.service)
    (engine,) = made._buses
    engine.number = 5
    assert not made.is_busy()
    engine.frame(can.ident(can.LOAD, 0), can.begin(7, 100, 1, 0), 0)
    assert made.is_busy()
    engine.abort(5)
    assert not made.is_busy()
