# SPDX-License-Identifier: MIT
"""Transfers over a UART: both engines on a line that spoils bytes, cuts, and loses an end."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.uart_engines import FAULTS, HEADER, Medium, StrictSink, UartEngines, one_fault
from hsx.errors import EACCES, EBADMSG, EBUSY, EINVAL, EIO, ENOTSUP, ETIMEDOUT
from hsx.link import uart_master
from hsx.link.uart_master import IDLE
from measure.uart_line import TO_HOST, TO_NODE

DATA = random.Random(7).randbytes(150) + bytes(40) + b"\xff" * 120  # five chunks of 64
ORDERS = pytest.mark.parametrize("ordered", [False, True], ids=["any_order", "in_order"])


def whole(ends: UartEngines, data: bytes = DATA) -> bool:
    """Whether the node has all of it, and the host knows."""
    master = ends.master
    tail = data[-4:].rjust(4, b"\0")
    return (
        master.outcome == "done"
        and master.digest == tail
        and master.placed == len(data)
        and bytes(ends.sink.medium.data) == data
    )


# ---- a good line ------------------------------------------------------------------------------


@pytest.mark.requirement("P-73")
@ORDERS
@pytest.mark.parametrize("size", [1, 63, 64, 65, 128, 1000, 64 * 129])
def test_a_transfer_arrives_whole(ordered, size):
    ends = UartEngines(StrictSink(ordered))
    data = random.Random(size).randbytes(size)
    assert ends.push(data) == "done" and whole(ends, data)
    assert (ends.sink.header, ends.sink.source) == (HEADER, "UART:2")
    assert (ends.master.repeats, ends.sink.begun, ends.sink.aborted) == (0, 1, 0)


def test_nothing_to_send_is_verified_at_once():
    ends = UartEngines()
    assert ends.push(b"") == "done" and ends.sink.begun == 1


def test_the_longest_header_arrives_whatever_the_chunk_is():
    ends = UartEngines(chunk=32, largest=32)
    assert ends.push(DATA, bytes(248)) == "done"
    assert ends.sink.header == bytes(248)


@pytest.mark.parametrize(
    ("wish", "node", "ordered", "granted"),
    [
        ((64, 8), (128, 400), False, (64, 6)),  # 1 + 400 // 76
        ((64, 3), (128, 400), False, (64, 3)),
        ((1024, 8), (128, 400), False, (128, 3)),
        ((1024, 8), (1024, 1048), False, (1024, 2)),
        ((512, 8), (1024, 1048), False, (512, 3)),
        ((1024, 8), (1024, 1048), True, (512, 2)),
        ((512, 8), (2048, 4000), True, (512, 4)),
        ((1024, 8), (128, 0), False, (128, 1)),
    ],
)
def test_the_node_grants_what_its_memory_holds(wish, node, ordered, granted):
    chunk, window = wish
    ends = UartEngines(StrictSink(ordered), None, 0, 115200, chunk, window, *node)
    data = random.Random(1).randbytes(9000)
    assert ends.push(data) == "done" and whole(ends, data)
    assert (ends.master.chunk, ends.master.window) == granted


def test_no_more_is_under_way_than_the_window():
    ends = UartEngines(window=3)
    master = ends.master
    master.begin(HEADER, DATA)
    ends.line.run(lambda: master.chunk > 0)
    ends.line.cut()  # the node hears nothing more
    sent = 0
    while master.output(ends.line.ms()):
        sent += 1
    assert sent <= 3


@ORDERS
def test_a_window_of_frames_fits_the_backlog_and_the_slot(ordered):
    ends = UartEngines(StrictSink(ordered), None, 0, 115200, 1024, 8, 1024, 1048)
    ends.push(bytes(20_000))
    chunk, window = ends.master.chunk, ends.master.window
    assert (window - 1) * (chunk + 12) <= 1048
    if ordered:
        assert chunk + 5 + (window - 1) * chunk <= 1029


# ---- one fault, everywhere --------------------------------------------------------------------


def lengths(sink: StrictSink) -> list[int]:
    """Bytes that a transfer without a fault takes in each direction."""
    ends = UartEngines(sink)
    ends.push(DATA)
    return ends.line.bytes


@pytest.mark.requirement("P-4", "P-40", "P-43", "P-73")
@pytest.mark.sharded
@ORDERS
@pytest.mark.parametrize("direction", [TO_NODE, TO_HOST], ids=["to_node", "to_host"])
@pytest.mark.parametrize("kind", FAULTS)
def test_one_wrong_byte_anywhere_costs_a_repeat_at_most(kind, direction, ordered):
    for number in range(lengths(StrictSink(ordered))[direction]):
        ends = UartEngines(StrictSink(ordered), one_fault(direction, number, FAULTS[kind]))
        assert ends.push(DATA) == "done" and whole(ends), f"{kind} {direction}:{number}"
        assert ends.master.repeats <= 2
        assert (ends.sink.begun, ends.sink.aborted) == (1, 0)


@ORDERS
def test_a_broken_frame_is_repeated_alone(ordered):
    ends = UartEngines(StrictSink(ordered), one_fault(TO_NODE, 5000, FAULTS["changed"]), 0.005)
    ends.shape = {"chunk": 1024, "backlog": 1048}
    ends.line.node = ends.a_node()
    ends.wish["chunk"] = 512
    ends.line.master = ends.a_master()
    data = random.Random(3).randbytes(16384)
    assert ends.push(data) == "done" and whole(ends, data)
    assert ends.master.repeats == 1
    assert ends.line.bytes[TO_NODE] < 16384 + 33 * 12 + 120 + 512


@pytest.mark.parametrize("burst", [2, 30, 77])
@ORDERS
def test_a_burst_of_rubbish_anywhere_is_survived(ordered, burst):
    chance = random.Random(burst)
    for begin in range(0, 500, 13):
        for direction in (TO_NODE, TO_HOST):

            def fault(way, at, byte, direction=direction, begin=begin):
                if way == direction and begin <= at < begin + burst:
                    return chance.randbytes(chance.randrange(3))
                return bytes([byte])

            ends = UartEngines(StrictSink(ordered), fault)
            assert ends.push(DATA) == "done" and whole(ends), (direction, begin)


def test_every_second_acknowledgement_may_be_lost():
    frames = [0]

    def fault(way, at, byte):
        if way == TO_HOST:
            frames[0] += byte == 0
            if frames[0] // 2 % 2 and at > 40:  # each is between two zeros
                return b""
        return bytes([byte])

    data = random.Random(5).randbytes(64 * 60)
    ends = UartEngines(fault=fault)
    assert ends.push(data) == "done" and whole(ends, data)
    assert ends.master.repeats == 0


@pytest.mark.parametrize("off", [-1, 1])
def test_a_frame_of_the_wrong_length_is_no_frame(off):
    """The last one may be shorter, and is as long as what is missing."""
    ends = UartEngines()
    node, master = ends.line.node, ends.master
    master.begin(HEADER, bytes(100))
    ends.line.run(lambda: master.chunk == 64)
    for number, size in ((0, 64 + off), (0, 64), (1, 36 + off), (1, 64), (2, 64), (2, 1)):
        frame = uart_master._frame(bytes([0x80 | number]) + b"\x55" * size, False)
        node.receive(frame, len(frame), ends.line.ms())
    assert ends.sink.medium.placed == 64 and node.deframer.broken == 0
    ends.line.run()
    assert whole(ends, bytes(100)) or bytes(ends.sink.medium.data[:64]) == b"\x55" * 64
    assert ends.master.outcome == "done"


# ---- a hostile line ---------------------------------------------------------------------------


@st.composite
def hostile(draw):
    """A line that spoils a byte in so many, in its own way, from a seed."""
    return draw(st.integers(0, 2**32)), draw(st.sampled_from([40, 100, 300, 1000]))


@given(hostile(), st.booleans(), st.integers(1, 8), st.integers(0, 700), st.integers(0, 20))
def test_on_any_line_the_outcome_is_whole_or_an_error(line, ordered, window, size, late):
    seed, one_in = line
    chance = random.Random(seed)
    ways = list(FAULTS.values())

    def fault(way, at, byte):
        return chance.choice(ways)(byte) if chance.randrange(one_in) == 0 else bytes([byte])

    ends = UartEngines(StrictSink(ordered), fault, late / 1000, window=window)
    data = chance.randbytes(size)
    outcome = ends.push(data)
    assert outcome in ("done", "failed")
    if outcome == "done":
        assert whole(ends, data)
    else:
        assert ends.master.errno == ETIMEDOUT
    ends.line._fault = None  # and the next one on a good line succeeds
    ends.line.master = ends.a_master()
    assert ends.push(DATA) == "done" and whole(ends)


@pytest.mark.requirement("P-43")
@pytest.mark.sharded
@ORDERS
@pytest.mark.parametrize("part", range(4))
def test_five_thousand_transfers_on_bad_lines_end_whole_or_in_an_error(part, ordered):
    """A byte in 50 to 2,000 is spoiled, by a seed. Few give up, and those on the worst lines."""
    ways = list(FAULTS.values())
    failed = 0
    for seed in range(part, 5000, 4):
        chance = random.Random(seed)
        one_in = chance.choice([50, 100, 300, 2000])

        def fault(way, at, byte, chance=chance, one_in=one_in):
            if chance.random() * one_in < 1:
                return chance.choice(ways)(byte)
            return bytes([byte])

        ends = UartEngines(StrictSink(ordered), fault, chunk=32, largest=64)
        data = chance.randbytes(chance.randrange(1, 200))
        if ends.push(data, HEADER[:8]) == "done":
            assert whole(ends, data), seed
        else:
            failed += 1
            assert ends.master.errno == ETIMEDOUT and one_in < 300, seed
    assert failed < 75


# ---- resets -----------------------------------------------------------------------------------


def steps(sink: StrictSink) -> int:
    """Steps of the line that a transfer takes."""
    ends = UartEngines(sink)
    ends.master.begin(HEADER, DATA)
    count = 0
    while ends.master.phase != IDLE:
        ends.line.step()
        count += 1
    return count


@pytest.mark.requirement("P-73")
@ORDERS
def test_a_node_that_is_reset_at_any_step_goes_on(ordered):
    for moment in range(steps(StrictSink(ordered))):
        ends = UartEngines(StrictSink(ordered))
        ends.master.begin(HEADER, DATA)
        for _ in range(moment):
            ends.line.step()
        placed = ends.sink.medium.placed
        ends.reset_node(StrictSink(ordered, ends.sink.medium))
        ends.line.run()
        assert whole(ends), moment
        if ends.sink.begun and not ordered:
            assert ends.sink._written.count(1) == len(DATA) - placed  # the rest, and no more


@ORDERS
def test_a_host_that_is_started_anew_at_any_step_has_its_way(ordered):
    for moment in range(steps(StrictSink(ordered))):
        ends = UartEngines(StrictSink(ordered))
        ends.master.begin(HEADER, DATA)
        for _ in range(moment):
            ends.line.step()
        ends.line.master = ends.a_master()
        assert ends.push(DATA) == "done" and whole(ends), moment


@ORDERS
@pytest.mark.parametrize("out", [0.5, 8.0, 14.0])
def test_a_cable_that_is_out_for_a_while_at_any_step_delays_only(ordered, out):
    """14 s: the node has given the session up by then (10 s), and takes it up again."""
    for moment in range(steps(StrictSink(ordered))):
        ends = UartEngines(StrictSink(ordered))
        line = ends.line
        ends.master.begin(HEADER, DATA)
        for _ in range(moment):
            line.step()
        end = line.now + out
        line._fault = lambda way, at, byte, end=end, line=line: (
            b"" if line.now < end else bytes([byte])
        )
        line.cut()
        line.run()
        assert whole(ends), moment


@pytest.mark.parametrize("moments", [6, 12, 20])
def test_a_node_that_dies_again_and_again_is_an_error(moments):
    ends = UartEngines()
    ends.master.begin(HEADER, DATA)
    for _ in range(10_000):
        if ends.master.phase == IDLE:
            break
        ends.reset_node(StrictSink(True))
        for _ in range(moments):
            ends.line.step()
    assert (ends.master.outcome, ends.master.errno) == ("failed", ETIMEDOUT)
    assert ends.master.restarts > 5


def test_a_line_without_a_node_is_a_timeout():
    ends = UartEngines(fault=lambda way, at, byte: b"")
    assert ends.push(DATA) == "failed"
    assert ends.master.errno == ETIMEDOUT
    assert ends.sink.begun == 0


def test_silence_of_the_host_ends_the_session_at_the_node():
    ends = UartEngines()
    ends.master.begin(HEADER, DATA)
    ends.line.run(lambda: ends.sink.medium.placed > 0)
    ends.master.phase = IDLE  # a host that is gone
    ends.line.cut()
    ends.line.run(lambda: ends.sink.aborted > 0)
    assert 9.5 < ends.line.now < 11.5


# ---- abort ------------------------------------------------------------------------------------


@ORDERS
def test_the_host_may_abort_at_any_step(ordered):
    for moment in range(steps(StrictSink(ordered))):
        ends = UartEngines(StrictSink(ordered))
        ends.master.begin(HEADER, DATA)
        for _ in range(moment):
            ends.line.step()
        if ends.master.phase == IDLE:
            break
        ends.master.abort()
        ends.line.run()
        assert ends.master.outcome == "aborted", moment
        assert not ends.sink.open
        assert ends.push(DATA) == "done" and whole(ends), moment


def test_an_abort_that_nobody_answers_is_over_all_the_same():
    ends = UartEngines()
    ends.master.begin(HEADER, DATA)
    ends.line.run(lambda: ends.sink.medium.placed > 0)
    ends.line._fault = lambda way, at, byte: b""
    ends.master.abort()
    ends.line.run()
    assert ends.master.outcome == "aborted"


@ORDERS
def test_the_node_may_abort_at_any_step(ordered):
    told = 0
    for moment in range(steps(StrictSink(ordered))):
        ends = UartEngines(StrictSink(ordered))
        ends.master.begin(HEADER, DATA)
        for _ in range(moment):
            ends.line.step()
        running = ends.sink.open
        ends.line.node.abort(EBUSY)
        ends.line.run()
        if running:
            told += 1
            assert (ends.master.outcome, ends.master.errno) == ("failed", EBUSY), moment
            assert ends.sink.aborted == 1
        else:
            assert whole(ends), moment
        assert ends.push(DATA) == "done" and whole(ends)
    assert told > 5


# ---- refusals ---------------------------------------------------------------------------------


def test_a_header_that_the_sink_refuses_ends_it_with_the_sinks_errno():
    ends = UartEngines(StrictSink(refuse=EACCES))
    assert ends.push(DATA) == "failed"
    assert ends.master.errno == EACCES


@pytest.mark.requirement("P-40")
@pytest.mark.parametrize("kind", [None, *FAULTS])
def test_a_write_that_fails_ends_it_with_its_errno(kind):
    fault = one_fault(TO_HOST, 30, FAULTS[kind]) if kind else None
    ends = UartEngines(StrictSink(fail_at=130), fault)
    assert ends.push(DATA) == "failed"
    assert ends.master.errno == EIO


def test_a_set_that_does_not_verify_ends_it_with_its_errno():
    ends = UartEngines(StrictSink(bad=EBADMSG))
    assert ends.push(DATA) == "failed"
    assert ends.master.errno == EBADMSG


def test_verifying_may_take_longer_than_the_hosts_patience():
    ends = UartEngines(StrictSink(polls=20_000))  # one a millisecond
    assert ends.push(DATA) == "done" and whole(ends)
    assert ends.line.now > 19 and ends.sink.begun == 1


def test_verifying_that_never_ends_is_a_timeout():
    ends = UartEngines(StrictSink(polls=1 << 30))
    assert ends.push(DATA) == "failed"
    assert ends.master.errno == ETIMEDOUT


@pytest.mark.parametrize(
    ("at", "value", "errno"), [(1, 9, ENOTSUP), (4, 1, EINVAL), (6, 0, EINVAL)]
)
def test_a_begin_that_asks_for_the_impossible_is_refused(at, value, errno):
    begin = bytearray(b"\2\1\1\1\x40\0\4\x10\0\0" + HEADER)
    begin[at] = value
    if at == 4:
        begin[5] = 0
    ends = UartEngines()
    ends.master.begin(HEADER, DATA)
    ends.master._token = 0x0101
    ends.master._begin = uart_master._frame(bytes(begin), True)
    ends.line.run()
    assert (ends.master.outcome, ends.master.errno) == ("failed", errno)
    assert ends.sink.begun == 0


def test_a_resume_point_inside_a_chunk_is_where_the_first_frame_begins():
    medium = Medium()
    medium.data[:] = DATA[:100] + bytes(len(DATA) - 100)
    medium.placed = 100
    ends = UartEngines(StrictSink(medium=medium))
    assert ends.push(DATA) == "done" and whole(ends)
    assert ends.sink._written == bytes(100) + b"\1" * (len(DATA) - 100)


def test_a_node_that_has_it_all_only_verifies():
    medium = Medium()
    medium.data[:] = DATA
    medium.placed = len(DATA)
    ends = UartEngines(StrictSink(medium=medium))
    assert ends.push(DATA) == "done" and whole(ends)
    assert ends.line.bytes[TO_NODE] < 100
