# SPDX-License-Identifier: MIT
from builders import Clock
from hsx.service.events import Events


def test_sequence_numbers_rise_by_one_and_times_are_the_clocks():
    clock = Clock(5)
    events = Events(clock)
    events.emit("a", 1, {})
    clock.forward(10)
    events.emit("b", 2, {"x": 1})
    assert events.since(0) == [(1, 5, "a", 1, {}), (2, 15, "b", 2, {"x": 1})]


def test_the_ring_keeps_the_newest():
    events = Events(Clock(), capacity=4)
    for n in range(10):
        events.emit("e", n, {})
    assert [event[0] for event in events.since(0)] == [7, 8, 9, 10]
    assert [event[0] for event in events.since(8)] == [9, 10]
    assert events.since(10) == []


def test_the_sink_gets_each_event_as_it_happens():
    seen = []
    events = Events(Clock(), sink=seen.append)
    events.emit("a", 0, {})
    assert seen == events.since(0)
