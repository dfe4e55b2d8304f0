# SPDX-License-Identifier: MIT
"""Transfers over CAN, both ends ours, on a bus that is modelled to the bit."""

import hashlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsx.errors import (
    EACCES,
    EBADMSG,
    EBUSY,
    EINVAL,
    EIO,
    ENOSPC,
    ETIMEDOUT,
    HsxError,
)
from hsx.link import can_framing as can
from hsx.link.can_master import QUEUE, CanMaster
from hsx.link.can_node import UNNUMBERED, CanNode
from link.can_cases import (
    LIMIT,
    Faults,
    Injector,
    check,
    check_or_error,
    frames_of,
    hostile,
    nothing,
    other_data,
    other_identifier,
    retry,
    run_random,
    shorter,
    twice,
)
from measure.can_fleet import HEADER, MemorySink, NodeStation, Transfer

SMALL = random.Random(7).randbytes(512 + 100)  # two blocks, the last one short
LARGE = random.Random(8).randbytes(20 * 512 - 3)


def single_faults():
    yield from [(f"lost-{at}", {at: nothing}, -1) for at in range(FRAMES)]
    yield from [(f"doubled-{at}", {at: twice}, -1) for at in range(FRAMES)]
    yield from [(f"swapped-{at}", {}, at) for at in range(FRAMES)]
    for at in range(FRAMES):
        for bit in range(11):
            yield f"identifier-{at}-{bit}", {at: other_identifier(bit)}, -1
        for byte in range(8):
            yield f"data-{at}-{byte}", {at: other_data(byte * 8 + at % 8)}, -1
        for size in range(8):
            yield f"short-{at}-{size}", {at: shorter(size)}, -1


FRAMES = frames_of(SMALL)


@pytest.mark.requirement("P-68", "P-102")
@pytest.mark.sharded
@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("part", range(4))
def test_any_single_fault_at_any_frame_is_repaired_or_told(part, ordered):
    failed = []
    for name, changes, swapped in list(single_faults())[part::4]:
        transfer = Transfer(SMALL, [MemorySink(ordered)])
        transfer.fleet.fault = Faults(changes, swapped)
        check_or_error(transfer)
        if transfer.master.results[1]:
            failed.append((name, transfer.master.results[1]))
            retry(transfer)
    # Only who tells a node another length or session than is meant makes it fail.
    assert {name.split("-")[0] for name, _ in failed} <= {"data"}
    assert len(failed) < 10


@pytest.mark.requirement("P-40")
@pytest.mark.parametrize("ordered", [False, True])
def test_what_comes_twice_is_written_once(ordered):
    for at in range(FRAMES):
        transfer = Transfer(SMALL, [MemorySink(ordered)])
        transfer.fleet.fault = Faults({at: twice})
        check(transfer)
        assert transfer.fleet.sinks[0].written == len(SMALL)
        assert transfer.master.repairs == 0
    transfer = Transfer(LARGE, [MemorySink(ordered)])
    transfer.fleet.fault = lambda number, frame: [frame, frame]
    check(transfer)
    assert transfer.fleet.sinks[0].written == len(LARGE)


@pytest.mark.requirement("P-43")
def test_node_that_asks_without_end_is_given_up():
    transfer = Transfer(SMALL, [MemorySink(), MemorySink()])
    bad = Injector(transfer.bus)
    transfer.fleet.nodes[0].is_up = False
    status = (can.ident(can.LOAD, 1), bytes([0, 0x13, 0x34, 0, 0, 0, 2, 0]))
    ask = (can.ident(can.LOAD, 1), bytes([0, 0x24, 0, 0, 2, 0, 0, 0]))
    bad.flood([status], 1, 1260)
    bad.flood([ask] * 2000, 1, 1262)
    check(transfer, {2})
    assert transfer.master.results[1] == EIO
    assert transfer.master.repairs < 7 * (128 + 200)


@pytest.mark.requirement("P-43")
def test_node_that_makes_no_progress_is_given_up():
    transfer = Transfer(SMALL, [MemorySink()])
    header = range(64)  # frames that get through
    seen = iter(range(100_000))
    transfer.fleet.fault = lambda number, frame: (
        [] if next(seen) not in header and frame[0] & 0x780 == 0x700 else [frame]
    )
    check_or_error(transfer)
    assert transfer.master.results == {1: EIO}
    assert transfer.master.repairs < 7 * (128 + 200)


def test_lost_answer_is_asked_for_again():
    for at in range(3):
        transfer = Transfer(SMALL, [MemorySink()])
        seen = iter(range(100))
        transfer.station.fault = lambda f, seen=seen, at=at: [] if next(seen) == at else [f]
        check(transfer)


@pytest.mark.requirement("P-68")
@pytest.mark.sharded
@pytest.mark.parametrize("gap", [63, 64, 65, 127, 128, 129, 1000])
@pytest.mark.parametrize("ordered", [False, True])
def test_gap_of_any_length_is_filled(gap, ordered):
    # Not at the end: who hears nothing of all the polls there is given up.
    for start in (0, 1, 19, 20, 21, 22, 60, 84, 85, 86, 150, 280):
        transfer = Transfer(LARGE, [MemorySink(ordered), MemorySink()])
        changes = dict.fromkeys(range(start, start + gap), nothing)
        transfer.fleet.fault = Faults(changes, numbers={1})
        check(transfer)


@pytest.mark.requirement("P-67")
@pytest.mark.parametrize("size", [0, 1, 8, 9, 511, 512, 513, 1024, 5000])
@pytest.mark.parametrize("ordered", [False, True])
def test_any_length_arrives(size, ordered):
    transfer = Transfer(random.Random(size).randbytes(size), [MemorySink(ordered)])
    check(transfer)
    assert transfer.fleet.sinks[0].header == HEADER
    assert transfer.fleet.sinks[0].written == size


def test_without_loss_every_block_is_sent_once_and_nothing_is_asked_for():
    transfer = Transfer(LARGE, [MemorySink() for _ in range(12)])
    check(transfer)
    assert transfer.master.repairs == 0
    header, data, blocks = len(HEADER) // 8, len(LARGE) // 8 + 1, 20 + 1
    begin_join_end, answers = 3, 2 * 12
    assert transfer.bus.frames == header + data + blocks + begin_join_end + answers


@pytest.mark.requirement("P-102")
@pytest.mark.sharded
@pytest.mark.parametrize("first", range(0, 300, 25))
def test_random_faults_never_lead_to_wrong_bytes_or_no_end(first):
    assert run_random(first, 25) > 20


# ---- resets, late and dead nodes ----------------------------------------------------------------


@pytest.mark.parametrize("ordered", [False, True])
def test_node_may_be_reset_at_every_frame(ordered):
    for at in range(FRAMES):
        transfer = Transfer(SMALL, [MemorySink(ordered), MemorySink()])
        left = [at]

        def watch(sender, frame, when, left=left, transfer=transfer):
            left[0] -= 1
            if left[0] == 0:
                transfer.fleet.sinks[0].abort()
                transfer.fleet.reset(1)

        transfer.bus.listeners.append(watch)
        check(transfer)


def test_reset_node_goes_on_where_it_was():
    transfer = Transfer(LARGE, [MemorySink()])
    half = 1250 * transfer.bus.per_ms + 700 * 115
    transfer.bus.at(half, lambda _: transfer.fleet.reset(1))
    check(transfer)
    sink = transfer.fleet.sinks[0]
    assert sink.begun == 2
    assert sink.written < 1.2 * len(LARGE)


def test_host_may_be_reset_at_every_frame():
    for at in range(FRAMES):
        transfer = Transfer(SMALL, [MemorySink()])
        left = [at]

        def watch(sender, frame, when, left=left, station=transfer.station, bus=transfer.bus):
            left[0] -= 1
            if left[0] == 0:
                station.is_up = False
                station.queue.clear()
                bus.senders.discard(station)

        transfer.bus.listeners.append(watch)
        transfer.run(3000)
        if not transfer.master.over:
            retry(transfer)
            assert transfer.bus.ms < 10_000


def test_new_host_waits_for_the_session_of_the_old_one_to_die():
    transfer = Transfer(LARGE, [MemorySink()])
    transfer.run(1300)
    transfer.station.is_up = False
    transfer.station.queue.clear()
    transfer.bus.senders.clear()
    retry(transfer)
    assert 1300 + 3000 < transfer.bus.ms < 1300 + 3000 + 1500


@pytest.mark.requirement("P-43", "P-102")
def test_node_that_dies_is_told_and_holds_nobody_up():
    alone = Transfer(LARGE, [MemorySink() for _ in range(4)])
    check(alone)
    transfer = Transfer(LARGE, [MemorySink() for _ in range(5)])
    dead = transfer.fleet.nodes[4]
    done: list[int] = []

    def watch(sender, frame, when):
        if when > 1300 * transfer.bus.per_ms:
            dead.is_up = False
        if frame[0] & 0x780 == 0x680 and frame[1][1] == 0x43:
            done.append(transfer.bus.ms)

    transfer.bus.listeners.append(watch)
    check(transfer, {1, 2, 3, 4})
    assert transfer.master.results[5] == ETIMEDOUT
    assert len(done) == 4 and max(done) <= alone.bus.ms + 10


def test_node_that_is_not_there_is_told():
    transfer = Transfer(SMALL, [MemorySink(), MemorySink()])
    transfer.fleet.nodes[1].is_up = False
    check(transfer, {1})
    assert transfer.master.results[2] == ETIMEDOUT


def test_transfer_to_nobody_ends_soon():
    transfer = Transfer(SMALL, [MemorySink()])
    transfer.fleet.nodes[0].is_up = False
    check_or_error(transfer)
    assert transfer.master.results == {1: ETIMEDOUT} and transfer.bus.ms < 4000


@pytest.mark.requirement("P-67")
@pytest.mark.parametrize("ordered", [False, True])
def test_late_joiner_takes_what_comes_and_then_the_rest(ordered):
    stream = random.Random(9).randbytes(100 * 512)
    transfer = Transfer(stream, [MemorySink(), MemorySink(ordered)])
    late = transfer.fleet.nodes[1]
    late.is_up = False

    def wake(_):
        late.is_up = True

    transfer.bus.at(1700 * transfer.bus.per_ms, wake)
    check(transfer)
    frames = 100 * 64
    if ordered:
        assert transfer.master.repairs > frames * 0.9
    else:
        assert transfer.master.repairs < frames * 0.9


# ---- masters ------------------------------------------------------------------------------------


def test_second_master_is_refused_and_disturbs_nothing():
    transfer = Transfer(LARGE, [MemorySink()])
    transfer.run(1260)
    first, station = transfer.master, transfer.station
    second = transfer.start_master(0x9999)
    assert transfer.run(2000)
    assert second.over and second.error == EBUSY and second.results == {1: EBUSY}
    assert second.frames == 0
    transfer.master, transfer.station = first, station
    check(transfer)


def test_master_that_hears_anothers_claim_before_it_has_a_node_gives_up():
    transfer = Transfer(SMALL, [MemorySink()])
    transfer.fleet.nodes[0].is_up = False
    other = Injector(transfer.bus)
    claim = (can.ident(can.LOAD), can.begin(0x7777, 5000, 18, 0))
    transfer.bus.at(1262 * transfer.bus.per_ms, lambda _: other.send(claim))
    check_or_error(transfer)
    assert transfer.master.error == EBUSY


def test_foreign_claim_cannot_take_a_node_away():
    transfer = Transfer(LARGE, [MemorySink()])
    other = Injector(transfer.bus)
    claim = (can.ident(can.LOAD), can.begin(0x7777, 5000, 18, 0))
    other.flood([claim] * 20, 5, 1290)
    check(transfer)


def test_abort_frees_the_nodes():
    transfer = Transfer(LARGE, [MemorySink(), MemorySink()])
    transfer.run(1300)
    assert all(sink.begun for sink in transfer.fleet.sinks)
    transfer.master.abort(transfer.bus.ms, EBUSY)
    transfer.station.feed()
    transfer.bus.run(lambda: False, transfer.bus.now + 20 * transfer.bus.per_ms)
    assert all(sink.aborted == 1 for sink in transfer.fleet.sinks)
    assert transfer.master.results == {1: EBUSY, 2: EBUSY}
    retry(transfer)
    assert transfer.bus.ms < 3500  # nobody was busy


def test_master_sends_nothing_for_a_second_and_has_16_frames_queued_at_most():
    transfer = Transfer(LARGE, [MemorySink()])
    most, first = [0], []
    transfer.bus.listeners.append(lambda *_: most.append(len(transfer.station.queue)))
    transfer.bus.listeners.append(lambda *_: first.append(transfer.bus.ms))
    check(transfer)
    assert max(most) <= QUEUE and 1000 <= first[0] <= 1500


@pytest.mark.parametrize("share", [0.1, 0.3, 0.9])
def test_share_of_the_bus_is_kept(share):
    transfer = Transfer(LARGE, [MemorySink()], share=share)
    check(transfer)
    time = transfer.bus.now - transfer.station.begun
    assert 0.7 * share < transfer.bus.busy / time <= share


def test_pace_of_the_slowest_node_is_kept():
    transfer = Transfer(LARGE, [MemorySink(), MemorySink()])
    slow = CanNode(transfer.fleet.sinks[1], 2)
    slow.pace = 1024
    transfer.fleet.nodes[1] = NodeStation(transfer.bus, slow)
    check(transfer)
    seconds = transfer.bits / 500_000
    before = 1 + 18 + 1 + 1 + 2  # it tells its pace
    assert 900 < (transfer.bus.frames - before - QUEUE) / seconds <= 1024


def test_controller_that_sends_by_identifier_needs_no_repair():
    transfer = Transfer(LARGE, [MemorySink() for _ in range(3)], by_identifier=True)
    check(transfer)
    assert transfer.master.repairs == 0


def test_bus_that_takes_no_frame_ends_the_transfer():
    now = 0
    master = CanMaster(SMALL, HEADER, [1], b"1234", 1, 0.0, now)
    buf = bytearray(8)
    while not master.over and now < 20_000:
        master.poll(now)
        while master.next_frame(buf) >= 0:
            pass
        now += 1
    assert master.results == {1: EIO} and now < 8000


@pytest.mark.parametrize(
    ("header", "nodes", "share"),
    [(b"", [1], 1), (bytes(63), [1], 1), (bytes(256), [1], 1), (HEADER, [], 1), (HEADER, [127], 1)]
    + [(HEADER, [0], 1), (HEADER, [1], 0), (HEADER, [1], 1.1)],
)
def test_what_no_transfer_can_be_made_of_is_refused(header, nodes, share):
    with pytest.raises(HsxError) as caught:
        CanMaster(SMALL, header, nodes, b"1234", 1, 0.0, 0, share=share)
    assert caught.value.errno == EINVAL


# ---- what nodes say -----------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["refuse", "bad_write", "bad_end"])
def test_error_of_a_node_is_told_and_the_others_go_on(where):
    transfer = Transfer(LARGE, [MemorySink(), MemorySink()])
    setattr(transfer.fleet.sinks[0], where, EACCES)
    check(transfer, {2})
    assert transfer.master.results == {1: EACCES, 2: 0}


def test_other_bytes_read_back_than_were_sent_are_an_error():
    transfer = Transfer(SMALL, [MemorySink()])
    transfer.master._digest = hashlib.sha256(b"other").digest()[:4]
    check_or_error(transfer)
    assert transfer.master.results == {1: EBADMSG}


@pytest.mark.parametrize("blocks", [8, 16])
@pytest.mark.parametrize(("more", "result"), [(-1, 0), (0, 0), (1, ENOSPC), (512, ENOSPC)])
def test_stream_may_fill_the_map_of_blocks_and_is_refused_beyond(blocks, more, result):
    stream = random.Random(blocks).randbytes(blocks * 512 + more)
    transfer = Transfer(stream, [MemorySink()])
    transfer.fleet.nodes[0] = NodeStation(
        transfer.bus, CanNode(transfer.fleet.sinks[0], 1, max_blocks=blocks)
    )
    check_or_error(transfer)
    assert transfer.master.results == {1: result}


def test_node_that_verifies_for_long_says_so_and_is_waited_for():
    transfer = Transfer(SMALL, [MemorySink(verifying=5000), MemorySink()])
    said = []
    transfer.bus.listeners.append(lambda s, frame, at: said.append(frame[1][1]))
    check(transfer)
    assert 4 < said.count(0x33) < 12  # ever less often: DONE comes unasked
    assert transfer.fleet.sinks[0].aborted == 0


def test_session_ends_in_silence_after_three_seconds():
    transfer = Transfer(LARGE, [MemorySink()])
    transfer.run(1300)
    transfer.station.is_up = False
    sink, end = transfer.fleet.sinks[0], transfer.bus.now
    transfer.bus.run(lambda: sink.aborted > 0, end + 10_000 * transfer.bus.per_ms)
    assert 2900 <= (transfer.bus.now - end) // transfer.bus.per_ms <= 3100


def test_node_gives_up_from_its_side_and_says_why():
    transfer = Transfer(LARGE, [MemorySink(), MemorySink()])
    transfer.run(1300)
    transfer.fleet.nodes[0].node.abort(EACCES)
    check(transfer, {2})
    assert transfer.master.results[1] == EACCES
    assert transfer.fleet.sinks[0].aborted == 1


def test_blocks_in_place_are_not_sent():
    transfer = Transfer(LARGE, [MemorySink(), MemorySink()])
    for sink, place in zip(transfer.fleet.sinks, (5000, 7 * 512 + 3), strict=True):
        sink.data = bytearray(LARGE[:place].ljust(len(LARGE), b"\0"))
        sink.place = place
    check(transfer)
    # The first node has 9 whole blocks, the second 7: from the eighth one on they are sent.
    assert [sink.written for sink in transfer.fleet.sinks] == [
        len(LARGE) - 9 * 512,
        len(LARGE) - 7 * 512,
    ]


def test_stream_that_is_in_place_is_only_verified():
    transfer = Transfer(LARGE, [MemorySink()])
    transfer.fleet.sinks[0].data = bytearray(LARGE)
    transfer.fleet.sinks[0].place = len(LARGE)
    check(transfer)
    assert transfer.fleet.sinks[0].written == 0 and transfer.bus.frames < 30


@pytest.mark.parametrize("kept", [range(2, 20), range(1), range(5, 9), (3, 7, 19)])
def test_blocks_outside_the_plan_are_sent_only_to_who_lacks_them(kept):
    plan = set(range(20)) - set(kept)
    transfer = Transfer(LARGE, [MemorySink(), MemorySink()], plan=plan)
    for sink in transfer.fleet.sinks:
        sink.kept = {block: LARGE[block * 512 :][:512] for block in kept}
    missing = next(iter(kept))
    del transfer.fleet.sinks[1].kept[missing]
    check(transfer)
    assert transfer.master.repairs == 64
    size = min(512, len(LARGE) - missing * 512)
    written = [sink.written for sink in transfer.fleet.sinks]
    assert written[1] - written[0] == size


@pytest.mark.requirement("P-67")
def test_nodes_that_need_order_stand_beside_others():
    transfer = Transfer(LARGE, [MemorySink(ordered=n % 2 == 0) for n in range(6)], 0.01, 3)
    check(transfer)


def test_node_without_a_number_never_sends():
    sink = MemorySink()
    transfer = Transfer(SMALL, [sink])
    transfer.fleet.nodes[0] = silent = NodeStation(transfer.bus, CanNode(sink, UNNUMBERED))
    senders = set()
    transfer.bus.listeners.append(lambda sender, frame, at: senders.add(sender))
    chance = random.Random(1)
    Injector(transfer.bus).flood([hostile(chance) for _ in range(2000)], 0.5, 1000)
    check_or_error(transfer)
    transfer.bus.run(lambda: False, transfer.bus.now + 500 * transfer.bus.per_ms)
    assert silent not in senders and transfer.master.results[1] != 0


# ---- hostile bus --------------------------------------------------------------------------------


@pytest.mark.requirement("P-68", "P-102")
@pytest.mark.parametrize("seed", range(20))
def test_hostile_frames_cost_at_most_the_session(seed):
    chance = random.Random(seed)
    transfer = Transfer(LARGE, [MemorySink(), MemorySink(ordered=True)])
    foreign = Injector(transfer.bus)
    foreign.flood([hostile(chance) for _ in range(1000)], chance.choice([0.25, 0.5, 2]), 1255)
    check_or_error(transfer)
    transfer.bus.run(lambda: False, transfer.bus.now + 4000 * transfer.bus.per_ms)
    retry(transfer)


@pytest.mark.requirement("P-88")
def test_flood_of_foreign_frames_that_leaves_room_slows_and_no_more():
    transfer = Transfer(LARGE, [MemorySink()])
    foreign = Injector(transfer.bus)
    foreign.flood([(n % 0x400, bytes(8)) for n in range(3000)], 0.5, 1000)
    check(transfer)
    assert transfer.master.repairs == 0


def test_frames_under_other_identifiers_are_counted():
    node = CanNode(MemorySink(), 1)
    node.frame(0x123, b"12345678", 0)
    node.frame(0x7FF, b"12", 0)
    assert node.foreign == 2


@given(st.lists(st.tuples(st.integers(0, 0x7FF), st.binary(max_size=8)), max_size=60))
def test_node_takes_any_frames(frames):
    node = CanNode(MemorySink(), 1)
    buf = bytearray(8)
    for now, (ident, data) in enumerate(frames):
        node.frame(ident, memoryview(data), now)
        assert node.poll(now) >= 0
        for _ in range(40):
            if node.next_frame(buf) < 0:
                break
        else:
            raise AssertionError("it talks without end")


# ---- a scheduler that means harm ----------------------------------------------------------------

_DEEDS = st.sampled_from(["lose", "double", "swap", "harm", "cut", "answer"])


@settings(max_examples=60)
@given(
    st.binary(min_size=1, max_size=1600),
    st.lists(st.booleans(), min_size=1, max_size=3),
    st.dictionaries(st.tuples(st.integers(0, 260), st.integers(1, 3)), _DEEDS, max_size=25),
)
def test_no_schedule_of_faults_gives_wrong_bytes_or_no_end(stream, ordered, deeds):
    transfer = Transfer(stream, [MemorySink(one) for one in ordered])
    seen = dict.fromkeys(range(4), 0)
    kept = {}

    def fault(number, frame):
        at = seen[number]
        seen[number] += 1
        deed = deeds.get((at, number))
        frames = {
            "lose": [],
            "double": [frame, frame],
            "harm": other_data(at)(frame) if frame[1] else [],
            "cut": [(frame[0], frame[1][:5])],
        }.get(deed, [frame])
        if deed == "swap":
            kept[number] = frame
            return []
        return [*frames, kept.pop(number)] if number in kept else frames

    def answer(frame):
        at = seen[0]
        seen[0] += 1
        return [] if deeds.get((at, 1)) == "answer" else [frame]

    transfer.fleet.fault = fault
    transfer.station.fault = answer
    check_or_error(transfer)
    if any(transfer.master.results.values()):
        transfer.bus.run(lambda: False, transfer.bus.now + 4000 * transfer.bus.per_ms)
        retry(transfer)


def test_limit_of_a_transfer_is_what_the_tests_say():
    transfer = Transfer(SMALL, [MemorySink()])
    assert not transfer.run(10) and transfer.run(LIMIT)
