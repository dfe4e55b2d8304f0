# SPDX-License-Identifier: MIT
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.node import Clock
from hsx.errors import EINVAL, ENOENT, HsxError
from hsx.link.wire import MAX_EVENT, unpack_event
from hsx.service.app_text import AppText
from hsx.service.events import Events


def seqs(events: list) -> list[int]:
    return [event[0] for event in events]


def test_sequence_numbers_rise_by_one_and_times_are_the_clocks():
    clock = Clock(5)
    events = Events(clock)
    events.emit("a", 1, {})
    clock.forward(10)
    events.emit("b", 2, {"x": 1})
    assert events.since(0) == [(1, 5, "a", 1, {}), (2, 15, "b", 2, {"x": 1})]


@given(st.lists(st.integers(0, 240), max_size=80), st.integers(MAX_EVENT, 700))
def test_the_log_keeps_the_newest_that_fit(sizes, room):
    """One field of text of each size; sizes beyond 111 are cut, as `link.wire` says."""
    events = Events(Clock(), room)
    for n, size in enumerate(sizes):
        events.emit("task", n, {"detail": "x" * size})
    held = events.since(0)
    assert seqs(held) == list(range(events.oldest, events.seq + 1))
    assert [event[3] for event in held] == [n & 0xFF for n in range(len(sizes))][-len(held) :]
    taken = [1 + 4 + 1 + 1 + 1 + 1 + min(size, 111) for size in sizes]
    fitting = 0
    while fitting < len(taken) and sum(taken[-fitting - 1 :]) <= room:
        fitting += 1
    assert len(held) == fitting
    for event in held:
        assert event[4] == {"detail": "x" * min(sizes[event[0] - 1], 111)}
        buf = memoryview(bytearray(MAX_EVENT))
        size = events.copy(event[0], buf)
        assert (event[0], *unpack_event(buf[:size])) == event
    assert events.since(events.seq) == []


def test_the_sink_gets_each_event_as_it_happens():
    seen = []
    events = Events(Clock(), sink=seen.append)
    events.emit("a", 0, {})
    assert seen == events.since(0)


def test_a_log_without_room_for_an_event_is_refused():
    with pytest.raises(HsxError) as refused:
        Events(Clock(), MAX_EVENT - 1)
    assert refused.value.errno == EINVAL


def emit(events: Events, count: int) -> None:
    for _ in range(count):
        events.emit("task", 1, {"state": "ready"})


def next_event(reader) -> tuple | None:
    """The next event that a reader gets, with its seq."""
    buf = memoryview(bytearray(MAX_EVENT))
    size = reader.next(buf)
    return (reader.sent, *unpack_event(buf[:size])) if size else None


def taken(reader) -> list[int]:
    found = []
    while True:
        event = next_event(reader)
        if event is None:
            return found
        found.append(event[0])


def test_a_reader_gets_what_comes_and_what_it_asks_for():
    events = Events(Clock())
    emit(events, 3)
    assert taken(events.subscribe()) == []
    assert taken(events.subscribe(since=1)) == [2, 3]
    reader = events.subscribe()
    emit(events, 2)
    assert taken(reader) == [4, 5]


@pytest.mark.requirement("P-83")
def test_who_does_not_acknowledge_gets_no_more_than_his_window():
    events = Events(Clock())
    reader = events.subscribe(window=4)
    emit(events, 10)
    assert taken(reader) == [1, 2, 3, 4]
    assert reader.stalled
    reader.ack(3)
    assert taken(reader) == [5, 6, 7]
    reader.ack(2)  # late: ignored
    assert taken(reader) == []
    reader.ack(7)
    assert taken(reader) == [8, 9, 10]


def test_what_was_never_sent_can_not_be_acknowledged():
    events = Events(Clock())
    reader = events.subscribe()
    emit(events, 3)
    next_event(reader)
    with pytest.raises(HsxError) as refused:
        reader.ack(2)
    assert refused.value.errno == EINVAL
    reader.ack(1)


def test_what_is_no_longer_there_can_not_be_asked_for():
    events = Events(Clock(), MAX_EVENT)
    emit(events, 200)
    for since in (0, events.oldest - 2, events.seq + 1):
        with pytest.raises(HsxError, match="seq_evicted") as refused:
            events.subscribe(since)
        assert refused.value.errno == ENOENT
    assert taken(events.subscribe(events.oldest - 1, 200))[0] == events.oldest


@pytest.mark.requirement("P-83")
@given(
    st.lists(st.one_of(st.just("emit"), st.just("read"), st.integers(0, 8)), max_size=200),
    st.integers(1, 6),
)
def test_no_event_is_missed_untold_and_numbers_only_rise(steps, window):
    """`emit`, `read` one, or acknowledge up to the n-th newest that came."""
    events = Events(Clock(), MAX_EVENT)
    reader = events.subscribe(window=window)
    seen, delivered, lost = [], 0, 0
    for step in steps:
        if step == "emit":
            emit(events, 3)
        elif step == "read":
            event = next_event(reader)
            if event is None:
                assert reader.stalled or reader.sent == events.seq
            elif event[4].get("reason") == "event_dropped":
                assert event[4]["dropped_seq"] == (seen[-1] + 1 if seen else 1)
                lost += event[4]["drops"]
                seen.append(event[0])
                assert seen[-1] == events.oldest - 1
            else:
                seen.append(event[0])
                delivered += 1
        elif step < len(seen):
            reader.ack(seen[-1 - step])
        assert reader.sent - reader.acked <= window
    assert seen == sorted(set(seen))
    assert delivered + lost == reader.sent


def an_app_that_writes(node: Clock, count: int) -> list[dict]:
    task = SimpleNamespace(pid=3, instance="app")
    log = Events(node)
    shown = []
    text = AppText(log, node, lambda *seen: shown.append(seen))
    node.forward(1)
    before = log.seq
    text.text(task, memoryview(b"nobody listens"), 1)
    assert log.seq == before
    log.subscribe().next(memoryview(bytearray(MAX_EVENT)))
    for _ in range(count):
        text.text(task, memoryview(b"hello \xff\n"), 2)
    node.forward(1000)
    log.subscribe().next(memoryview(bytearray(MAX_EVENT)))
    text.text(task, memoryview(b"x" * 100), 1)
    node.forward(2000)
    text.text(task, memoryview(b"the listener is gone"), 1)
    assert len(shown) == count + 3
    return [event[4] for event in log.since(before)]


def test_what_apps_write_is_told_to_who_listens_but_not_more_than_eight_times_a_second():
    told = an_app_that_writes(Clock(), 1000)
    assert told[:8] == [{"stream": 2, "text": "hello \n"}] * 8
    assert told[8:] == [{"stream": 1, "text": "x" * 56, "cut": 992 * 8 + 44}]
