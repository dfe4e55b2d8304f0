# SPDX-License-Identifier: MIT
"""The bench bus by itself: who goes first, how long it takes, and the faults that it makes."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench_bus.running import TURN, Adapter, Clock, turns
from hsxctl.simulate import slcan_line as slcan
from hsxctl.simulate.bench import WINDOW, Bench, Cut, Faults
from hsxctl.simulate.can_bus import BUS_OFF, ERROR_FRAME, EXTENDED, REMOTE, Bus, Station, bits


@pytest.fixture
def bus():
    """Makes benches with adapters on them, all open."""
    made = []

    def make(names="abc", **options):
        bench = Bench(**{"fast": True, "clock": Clock(), **options})
        adapters = [Adapter(bench, name) for name in names]
        made.append((bench, adapters))
        assert turns(bench, adapters, lambda: all(a.port.is_open for a in adapters))
        return bench, adapters

    yield make
    for bench, adapters in made:
        bench.close()
        for adapter in adapters:
            adapter.link.close()


def frames(count, ident=0x123):
    return [b"t%03X1%02X" % (ident, n & 255) for n in range(count)]


# ---- frames and time ---------------------------------------------------------------------------


def test_all_but_the_sender_hear_a_frame_once(bus):
    bench, adapters = bus()
    adapters[0].say(b"t1232AB01")
    assert turns(bench, adapters, lambda: adapters[1].heard and adapters[2].heard)
    assert [a.heard for a in adapters] == [[], [b"t1232AB01"], [b"t1232AB01"]]


def test_lowest_identifier_goes_first_among_those_that_wait(bus):
    bench, adapters = bus("abcd")
    for adapter, ident in zip(adapters, (0x700, 0x100, 0x400), strict=False):
        adapter.say(*frames(3, ident))
    assert turns(bench, adapters, lambda: len(adapters[3].heard) == 9)
    assert [line[1:4] for line in adapters[3].heard] == [b"100"] * 3 + [b"400"] * 3 + [b"700"] * 3


def test_bus_counts_the_bits_of_its_frames(bus):
    bench, adapters = bus()
    before = bench.bus.busy
    adapters[0].say(*frames(50))
    assert turns(bench, adapters, lambda: len(adapters[1].heard) == 50)
    assert bench.bus.busy - before == sum(bits(0x123, bytes([n])) for n in range(50))
    assert bench.stats()["frames"] == 50


def test_bus_keeps_the_pace_of_its_bit_rate(bus):
    bench, adapters = bus(fast=False, bitrate=50_000)
    began = bench.clock()
    adapters[0].say(*frames(200))
    assert turns(bench, adapters, lambda: len(adapters[1].heard) == 200)
    due = sum(bits(0x123, bytes([n & 255])) for n in range(200)) / 50_000
    assert bench.clock() - began == pytest.approx(due, abs=0.01)


def test_time_of_an_idle_bus_goes_with_the_clock(bus):
    bench, adapters = bus()
    began, before = bench.clock(), bench.seconds
    assert turns(bench, adapters, lambda: bench.clock() > began + 0.1)
    assert bench.seconds - before == pytest.approx(bench.clock() - began, abs=2 * TURN)


def test_bus_stands_still_for_a_node_that_does_not_keep_up(bus):
    bench, adapters = bus("ab")
    adapters[1].answers = False
    adapters[0].say(*frames(3 * WINDOW))
    began = bench.clock()
    assert turns(bench, adapters, lambda: bench.clock() > began + 0.15)
    assert WINDOW <= len(adapters[1].heard) <= WINDOW + 8
    adapters[1].answers = True
    adapters[1].say(*[b""] * len(adapters[1].heard))
    assert turns(bench, adapters, lambda: len(adapters[1].heard) == 3 * WINDOW)
    assert adapters[1].port.overrun == 0


def test_bus_does_not_stand_still_for_ever(bus):
    bench, adapters = bus()
    adapters[1].answers = False
    adapters[0].say(*frames(4 * WINDOW))
    assert turns(bench, adapters, lambda: len(adapters[2].heard) == 4 * WINDOW)
    assert adapters[1].port.overrun > 0


def test_node_that_was_reset_is_opened_again(bus):
    bench, adapters = bus()
    adapters[1].link.send(b"\a")
    assert turns(bench, adapters, lambda: adapters[1].opened == 2)
    adapters[0].say(b"t1230")
    assert turns(bench, adapters, lambda: adapters[1].heard)


def test_station_that_is_gone_is_told_and_leaves_the_bus_alone(bus):
    bench, adapters = bus()
    gone = []
    bench.gone = gone.append
    adapters[1].say(*frames(20))
    adapters[1].link.close()
    assert turns(bench, adapters[::2], lambda: gone)
    assert gone == [adapters[1].port]
    adapters[0].say(b"t7FF0")
    assert turns(bench, adapters[::2], lambda: b"t7FF0" in adapters[2].heard)


def test_two_that_send_different_frames_of_one_identifier_lose_them(bus):
    bench, adapters = bus()
    before = bench.bus.busy
    for adapter, data in zip(adapters, (b"01", b"02"), strict=False):
        adapter.say(b"t1231" + data)
    assert turns(bench, adapters, lambda: bench.bus.busy > before and not bench.bus.senders)
    assert bench.bus.busy - before == BUS_OFF * ERROR_FRAME
    adapters[0].say(b"t1240")
    assert turns(bench, adapters, lambda: adapters[2].heard)
    assert adapters[2].heard == [b"t1240"]


# ---- faults ------------------------------------------------------------------------------------


def heard_with(bus, count=400, **options):
    """Which of the frames each of two receivers heard."""
    bench, adapters = bus(**options)
    adapters[0].say(*[b"t%03X0" % n for n in range(count)])
    assert turns(bench, adapters, lambda: bench.bus.frames == count)
    end = bench.clock() + 0.05
    assert turns(bench, adapters, lambda: bench.clock() > end)
    return bench, [a.heard for a in adapters[1:]]


def test_loss_is_each_receivers_own_and_comes_from_the_seed(bus):
    bench, first = heard_with(bus, faults=Faults(loss=0.1), seed=3)
    assert all(300 < len(heard) < 395 for heard in first) and first[0] != first[1]
    assert bench.ports[1].lost == 400 - len(first[0])
    assert heard_with(bus, faults=Faults(loss=0.1), seed=3)[1] == first
    assert heard_with(bus, faults=Faults(loss=0.1), seed=4)[1] != first


def test_duplicated_frames_come_twice_in_a_row(bus):
    bench, heard = heard_with(bus, faults=Faults(duplicate=0.1))
    extra = bench.ports[1].doubled
    assert 0 < extra < 100 and len(heard[0]) == 400 + extra
    assert sorted(set(heard[0]), key=heard[0].index) == [b"t%03X0" % n for n in range(400)]


def test_delayed_frames_come_in_their_order_and_late(bus):
    bench, adapters = bus(faults=Faults(delay=50))
    began = bench.clock()
    adapters[0].say(*frames(5))
    assert turns(bench, adapters, lambda: len(adapters[1].heard) == 5)
    assert 0.05 <= bench.clock() - began < 0.06
    assert adapters[1].heard == frames(5)


def test_those_that_are_cut_off_hear_only_each_other(bus):
    bench, adapters = bus("abcd")
    bench.cut(["a", "b"])
    adapters[0].say(b"t0010")
    adapters[2].say(b"t0020")
    assert turns(bench, adapters, lambda: adapters[1].heard and adapters[3].heard)
    bench.heal()
    adapters[0].say(b"t0030")
    assert turns(bench, adapters, lambda: len(adapters[3].heard) == 2)
    assert [a.heard for a in adapters] == [
        [],
        [b"t0010", b"t0030"],
        [b"t0030"],
        [b"t0020", b"t0030"],
    ]


def test_cut_has_a_beginning_and_an_end(bus):
    bench, adapters = bus("ab", cuts=[Cut(frozenset("a"), 0.0, 0.3)])
    adapters[0].say(b"t0010")
    assert turns(bench, adapters, lambda: bench.bus.frames == 1)
    assert turns(bench, adapters, lambda: bench.seconds > 0.3)
    adapters[0].say(b"t0020")
    assert turns(bench, adapters, lambda: adapters[1].heard)
    assert adapters[1].heard == [b"t0020"]


# ---- programs ----------------------------------------------------------------------------------


@pytest.fixture
def program(bus):
    """A bench with two nodes, and a program that has connected."""
    bench, adapters = bus("ab")
    host, port = bench.channel.split(":")
    with socket.create_connection((host, int(port))) as link:
        link.setblocking(False)

        def ask(text, answer):
            link.sendall(text)
            got = b""

            def has_it():
                nonlocal got
                try:
                    got += link.recv(4096)
                except BlockingIOError:
                    return False
                return len(got) >= len(answer)

            turns(bench, adapters, has_it)
            return got

        yield adapters, ask


def test_program_finds_an_slcan_adapter(program):
    adapters, ask = program
    for text, answer in (
        (b"V\r", b"V1010\r"),
        (b"S6\r", b"\r"),
        (b"t1230\r", b"\a"),
        (b"O\r", b"\r"),
        (b"t1230\r", b"z\r"),
        (b"Q\r", b"\a"),
        (b"t12X0\r", b"\a"),
        (b"T200000000\r", b"\a"),
        (b"T1234567812A\r", b"Z\r"),
        (b"L\r", b"\r"),
        (b"t1230\r", b"\a"),
        (b"C\r", b"\r"),
    ):
        assert ask(text, answer) == answer, text
    assert adapters[0].heard == [b"t1230", b"T1234567812A"]


# ---- lines and bits ----------------------------------------------------------------------------

FRAMES = st.one_of(
    st.tuples(st.integers(0, 0x7FF), st.binary(max_size=8)),
    st.tuples(st.integers(0, 0x1FFFFFFF).map(lambda i: i | EXTENDED), st.binary(max_size=8)),
    st.tuples(st.integers(0, 0x7FF).map(lambda i: i | REMOTE), st.integers(0, 8).map(bytes)),
)


@given(FRAMES)
def test_line_of_a_frame_is_read_as_that_frame(frame):
    assert slcan.frame(slcan.plain(frame)[:-1]) == frame


@given(st.binary(max_size=30))
def test_no_line_does_harm(line):
    found = slcan.frame(line)
    assert found is None or slcan.frame(slcan.plain(found)[:-1]) == found


@given(st.lists(FRAMES, min_size=2, max_size=5, unique_by=lambda frame: frame[0]))
def test_arbitration_is_that_of_the_levels_on_the_wire(waiting):
    bus = Bus()
    order = []
    bus.listeners.append(lambda sender, frame, at: order.append(frame[0]))
    for frame in waiting:
        Station(bus).send(frame)
    bus.run(lambda: len(order) == len(waiting), 10_000)
    assert order == sorted((ident for ident, _ in waiting), key=levels)


def levels(ident):
    """The arbitration field as it is sent, the identifier extension included."""
    remote = "1" if ident & REMOTE else "0"
    if ident & EXTENDED:
        return f"{ident >> 18 & 0x7FF:011b}11{ident & 0x3FFFF:018b}{remote}"
    return f"{ident & 0x7FF:011b}{remote}0".ljust(32, "0")
