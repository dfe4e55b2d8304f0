# SPDX-License-Identifier: MIT
"""What hosts and nodes mean by the same bytes: each keeps its numbers for itself."""

import binascii
import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsx.link import can_framing as can
from hsx.link import can_messages, can_node, can_values, receiver
from hsx.link.can_node import UNNUMBERED, CanNode
from measure.can_fleet import MemorySink


def test_node_and_host_have_the_same_numbers():
    assert [can.ident(op, base=0) for op in (can.LOAD, can.DATA, can.BLOCK)] == [
        can_node._LOAD,
        can_node._DATA,
        can_node._BLOCK,
    ]
    assert receiver._DATA == can_node._DATA
    types = (can_node._BEGIN, can_node._POLL, can_node._NACK, can_node._ABORT)
    assert types == (can.BEGIN, can.POLL, can.NACK, can.ABORT)
    assert can_node._END == can.END
    ours = ("NONE", "READY", "RECEIVING", "VERIFYING", "DONE", "BUSY", "FAIL")
    theirs = (can.NOBEGIN, can.READY, can.RECEIVING, can.VERIFYING, can.DONE, can.BUSY, can.FAIL)
    assert tuple(getattr(can_node, f"_{name}") for name in ours) == theirs
    assert (receiver._BLOCK, receiver._FRAMES) == (can.BLOCK_SIZE, can.FRAMES)
    assert receiver._HEADER == can.HEADER and can_node._NO_HEADER == can.NO_HEADER
    values = ("GET", "SET", "PUB", "CALL", "RET")
    assert [getattr(can_values, f"_{name}") for name in values] == [
        getattr(can, name) for name in values
    ]
    more = ("NUMBER", "WHO", "FIRST", "NEXT")
    assert [getattr(can_messages, f"_{name}") for name in more] == [
        getattr(can, name) for name in more
    ]
    assert can_node.UNNUMBERED == can_values._ALL == can_messages._ALL == can.ALL


def test_identifiers_stay_out_of_the_range_that_is_never_sent():
    sent = [can.ident(op, low) for op in range(7) for low in range(127)]
    sent += [can.ident(can.DATA, low) for low in range(128)] + [can.ident(can.BLOCK)]
    assert min(sent) == 0x400 and max(sent) == 0x780


@given(st.sets(st.integers(1, 126), min_size=1))
def test_polls_name_exactly_the_nodes(nodes):
    named = set()
    for data in can.polls(can.END, 0x55, sorted(nodes)):
        assert data[:3] == bytes([127, 0x22, 0x55]) and len(data) == 8
        mask = int.from_bytes(data[4:], "little")
        named |= {32 * data[3] + k for k in range(32) if mask >> k & 1}
    assert named == nodes


def test_frames_are_these_bytes():
    assert can.begin(0x1234, 0x56789A, 18, 4) == bytes.fromhex("7f 01 34 12 9a 78 56 92")
    assert can.poll(can.JOIN, 0x34, 1, 0x80000001) == bytes.fromhex("7f 02 34 01 01 00 00 80")
    assert can.block(0x11223344, 0x0506, 64, 1, 0x34) == bytes.fromhex("44 33 22 11 06 05 c0 34")
    assert can.abort(127, 0x1234) == bytes.fromhex("7f 05 34 12")


def ready_node(total: int, number: int = 1, ordered: bool = False) -> CanNode:
    """A node that holds the signed header of session 0x1234."""
    node = CanNode(MemorySink(ordered), number)
    header = bytes(64)
    node.frame(can.ident(can.LOAD), can.begin(0x1234, total, 8, 0), 0)
    crc = binascii.crc32(header)
    node.frame(can.ident(can.BLOCK), can.block(crc, can.HEADER, 8, 1, 0x34), 0)
    for at in range(8):
        node.frame(can.ident(can.DATA, 64 | at), header[:8], 0)
    return node


def run_to(node: CanNode, block: int, parity: int, indexes, announced: bool = True, tag=0x34):
    """A run of a block of zeros, as it reaches a node."""
    crc = binascii.crc32(bytes(512))
    if announced:
        node.frame(can.ident(can.BLOCK), can.block(crc, block, 64, parity, tag), 0)
    for index in indexes:
        node.frame(can.ident(can.DATA, parity << 6 | index), bytes(8), 0)


def asked_by(node: CanNode, now: int = 0) -> dict[int, int]:
    """Block -> map of the frames that a node asks for."""
    asked: dict[int, int] = {}
    for _, data in frames_of(node, now):
        if data[1] & 15 == can.NACK:
            for number, frames in can.wanted(data):
                asked[number] = asked.get(number, 0) | frames
    return asked


def answer_of(node: CanNode, now: int) -> tuple[int, int]:
    """State and missing blocks that node 1 tells who asks for its status."""
    node.poll(now)
    node.frame(can.ident(can.LOAD), can.poll(can.ASK, 0x34, 0, 1 << 1), now)
    (data,) = [data for _, data in frames_of(node, now) if data[1] & 15 == can.STATUS]
    return data[1] >> 4, int.from_bytes(data[6:], "little")


def frames_of(node: CanNode, now: int) -> list[tuple[int, bytes]]:
    """What a node sends."""
    buf, sent = bytearray(8), []
    node.poll(now)
    while (ident := node.next_frame(buf)) >= 0:
        sent.append((ident, bytes(buf[: node.buf_len])))
    return sent


@given(st.sets(st.integers(0, 63), min_size=1, max_size=64), st.integers(0, 1))
def test_a_nack_names_exactly_the_frames_that_are_missing(missing, last):
    total = 512 * 2 if not last else 512 + 8 * 63
    frames = 64 - last
    missing = {index for index in missing if index < frames} or {0}
    node = ready_node(total)
    node.frame(can.ident(can.BLOCK), can.block(1, 1, frames, 0, 0x34), 0)
    for index in range(frames):
        if index not in missing:
            node.frame(can.ident(can.DATA, index), bytes(8), 0)
    node.frame(can.ident(can.BLOCK), can.block(1, 0, 64, 1, 0x34), 0)
    named = 0
    sent = frames_of(node, 0)
    assert len(sent) <= 2 and (len(sent) == 1 or len(missing) > 5)
    for ident, data in sent:
        assert ident == can.ident(can.LOAD, 1) and data[0] == 0 and data[1] & 15 == can.NACK
        for number, wanted in can.wanted(data):
            assert number == 1
            named |= wanted
    assert named == sum(1 << index for index in missing)


def test_whole_blocks_that_were_skipped_are_asked_for_by_their_count():
    node = ready_node(512 * 40)
    for number, parity in ((0, 0), (7, 1)):
        node.frame(can.ident(can.BLOCK), can.block(1, number, 64, parity, 0x34), 0)
    wanted = [pair for _, data in frames_of(node, 0) for pair in can.wanted(data)]
    # Of block 0 the BLOCK came: its frames are asked for, half by half.
    assert wanted[0][1] | wanted[1][1] == can.EVERYTHING and wanted[0][0] == wanted[1][0] == 0
    assert wanted[2:] == [(n, can.EVERYTHING) for n in range(1, 7)]


@pytest.mark.parametrize("others", [(5, 9), (5,), (9, 10), range(5, 30), ()])
def test_anothers_nack_is_enough_if_it_names_all_that_is_missing(others):
    ours, other = ready_node(512 * 40, 1), ready_node(512 * 40, 2)
    for node, lost in ((ours, (5, 9)), (other, others)):
        run_to(node, 0, 0, [index for index in range(64) if index not in lost])
        run_to(node, 1, 1, range(64))
    for ident, data in frames_of(other, 0):
        ours.frame(ident, data, 0)
    expected = {} if {5, 9} <= set(others) else {0: 1 << 5 | 1 << 9}
    assert asked_by(ours) == expected


def test_what_was_asked_for_in_vain_is_asked_for_again_after_5_ms():
    node = ready_node(512 * 40)
    run_to(node, 0, 0, range(63))
    run_to(node, 1, 1, range(64))
    assert asked_by(node, 0) == {0: 1 << 63}
    for now, parity, expected in ((2, 0, {}), (4, 1, {}), (5, 0, {0: 1 << 63})):
        block = can.block(binascii.crc32(bytes(512)), now, 64, parity, 0x34)
        node.frame(can.ident(can.BLOCK), block, now)
        assert asked_by(node, now).get(0) == expected.get(0)


@pytest.mark.parametrize("came", [1, 31, 32, 33, 63, 64])
def test_data_without_their_block_are_kept_if_half_of_them_came(came):
    node = ready_node(512 * 40)
    run_to(node, 0, 0, range(64))
    run_to(node, 1, 1, range(came), announced=False)
    run_to(node, 2, 0, range(64))
    lacks = range(came if came >= 32 else 0, 64)
    assert asked_by(node) == {1: sum(1 << index for index in lacks)}


@pytest.mark.parametrize("frames", [1, 2, 5, 6, 63])
def test_half_of_the_last_block_is_half_of_the_frames_that_it_has(frames):
    for came in range(1, frames + 1):
        node = ready_node(512 + 8 * frames)
        run_to(node, 0, 0, range(64))
        run_to(node, 1, 1, range(came), announced=False)
        node.frame(can.ident(can.LOAD), can.poll(can.END, 0x34, 0, 1 << 1), 0)
        lacks = range(came, frames) if 2 * came >= frames else range(64)
        assert asked_by(node) == {1: sum(1 << index for index in lacks)}, came


def test_data_of_a_repair_are_not_taken_for_the_next_block():
    node = ready_node(512 * 40)
    run_to(node, 0, 0, range(64))
    run_to(node, 7, 1, range(40), announced=False)
    run_to(node, 1, 0, [index for index in range(64) if index != 20])
    run_to(node, 2, 1, range(64))
    assert asked_by(node) == {1: 1 << 20}


def test_data_behind_another_masters_block_are_not_taken():
    node = ready_node(512 * 40)
    run_to(node, 0, 0, range(10))
    run_to(node, 0, 0, range(10, 64), tag=0x99)
    run_to(node, 1, 1, range(64))
    assert asked_by(node) == {0: can.EVERYTHING & ~0x3FF}


def test_node_that_needs_order_asks_only_for_three_blocks_at_a_time():
    node = ready_node(512 * 40, ordered=True)
    run_to(node, 0, 0, range(63))
    run_to(node, 30, 1, range(64))
    assert set(asked_by(node)) == {0, 1, 2}
    for number, parity in ((0, 0), (1, 1), (2, 0)):
        run_to(node, number, parity, range(64))
    assert asked_by(node) == dict.fromkeys((3, 4, 5), can.EVERYTHING)


@pytest.mark.parametrize("top", range(3, 9))
@pytest.mark.parametrize("moves", [1, 2, 3])
def test_node_that_needs_order_asks_for_what_lay_beyond_its_window_as_that_moves(moves, top):
    """Block 0 is repaired; block `moves` lacks a frame too, and ends the way of the window."""
    node = ready_node(512 * 40, ordered=True)
    for number in range(3):
        run_to(node, number, number & 1, range(63 if number in (0, moves) else 64))
    run_to(node, top, 1, range(64))
    assert asked_by(node) == {number: 1 << 63 for number in {0, moves} if number < 3}
    run_to(node, 0, 0, [63])
    beyond = range(3, min(top, moves + 2) + 1)
    assert asked_by(node) == dict.fromkeys(beyond, can.EVERYTHING)


@pytest.mark.parametrize("need", [0, 5])
@pytest.mark.parametrize("ahead", range(1, 6))
def test_node_that_needs_order_keeps_data_without_their_block_inside_its_window_only(ahead, need):
    """All of it comes, `ahead` of the block that is needed next, which lacks a frame."""
    node = ready_node(512 * 40, ordered=True)
    for number in range(need + ahead):
        run_to(node, number, number & 1, range(63 if number == need else 64))
    guess = need + ahead
    run_to(node, guess, guess & 1, range(64), announced=False)
    run_to(node, guess + 1, guess + 1 & 1, range(64))
    # Of a block that came whole only the BLOCK is asked for.
    assert asked_by(node) == {need: 1 << 63, **({guess: 0} if ahead < 3 else {})}


def in_session(has_header: bool) -> CanNode:
    """Node 1 in session 0x1234 of 40 blocks, of which it has one if it has the header."""
    if not has_header:
        node = CanNode(MemorySink(), 1)
        node.frame(can.ident(can.LOAD), can.begin(0x1234, 512 * 40, 8, 0), 0)
        return node
    node = ready_node(512 * 40)
    run_to(node, 0, 0, range(64))
    return node


OVER = (can.NOBEGIN, 0)
UNDER_WAY = {False: (can.RECEIVING, can.NO_HEADER), True: (can.RECEIVING, 39)}


@pytest.mark.parametrize("has_header", [False, True])
@pytest.mark.parametrize("dest", [1, can.ALL])
def test_abort_ends_its_session(dest, has_header):
    node = in_session(has_header)
    assert answer_of(node, 0) == UNDER_WAY[has_header]
    node.frame(can.ident(can.LOAD), can.abort(dest, 0x1234), 0)
    assert answer_of(node, 0) == OVER


@pytest.mark.parametrize("dest", [1, can.ALL])
@pytest.mark.parametrize("bit", range(16))
def test_abort_of_a_session_that_is_another_by_one_bit_ends_nothing(bit, dest):
    node = in_session(True)
    node.frame(can.ident(can.LOAD), can.abort(dest, 0x1234 ^ 1 << bit), 0)
    assert answer_of(node, 0) == UNDER_WAY[True]


@pytest.mark.parametrize("dest", [0, 2, 33, 126])
def test_abort_for_another_node_ends_nothing(dest):
    node = in_session(True)
    node.frame(can.ident(can.LOAD), can.abort(dest, 0x1234), 0)
    assert answer_of(node, 0) == UNDER_WAY[True]


@pytest.mark.parametrize("has_header", [False, True])
@pytest.mark.parametrize(("now", "is_over"), [(11_999, False), (12_000, True)])
def test_begin_that_is_repeated_keeps_its_session_alive(now, is_over, has_header):
    node = in_session(has_header)
    for again in range(1000, 9001, 1000):
        node.frame(can.ident(can.LOAD), can.begin(0x1234, 512 * 40, 8, 0), again)
        node.poll(again)
    assert answer_of(node, now) == (OVER if is_over else UNDER_WAY[has_header])


@pytest.mark.parametrize("has_header", [False, True])
@pytest.mark.parametrize(("now", "is_over"), [(2999, False), (3000, True)])
def test_begin_of_a_session_that_is_another_by_one_bit_does_not(now, is_over, has_header):
    for bit in range(16):
        node = in_session(has_header)
        for other in (1000, 2000):
            node.frame(can.ident(can.LOAD), can.begin(0x1234 ^ 1 << bit, 512, 8, 0), other)
            node.poll(other)
        assert answer_of(node, now) == (OVER if is_over else UNDER_WAY[has_header]), bit


def test_node_without_a_number_gives_no_frame_whatever_it_hears():
    chance = random.Random(2)
    node = CanNode(MemorySink(), UNNUMBERED)
    buf = bytearray(8)
    for now in range(3000):
        op = chance.choice([can.LOAD, can.DATA, can.BLOCK])
        low = chance.choice([0, chance.randrange(128)])
        data = bytes([127, chance.randrange(64), 0x34, 3]) + chance.randbytes(4)
        node.frame(can.ident(op, low), data, now)
        node.frame(can.ident(can.LOAD), can.poll(can.JOIN, 0x34, 3, 0xFFFFFFFF), now)
        assert node.poll(now) > 0 and node.next_frame(buf) == -1


def named_by(kind: int, block: int, argument: int) -> list[tuple[int, int]]:
    """What a NACK asks for by the table in docs/links.md: blocks, and maps of their frames."""
    bits = f"{argument:032b}"[::-1]  # the lowest first
    if kind in (0, 1):
        return [(block, sum(1 << 32 * kind + at for at in range(32) if bits[at] == "1"))]
    if kind == 2:
        return [(block + n, (1 << 64) - 1) for n in range(int(bits[15::-1], 2))]
    if kind == 3:
        return [(block, sum(1 << at for at in {int(bits[n : n + 6][::-1], 2) for n in FIVE}))]
    return []


FIVE = range(0, 30, 6)  # where the indexes of kind 3 begin


@pytest.mark.parametrize("kind", range(16))
def test_a_nack_of_any_bytes_names_what_its_kind_says_and_no_frame_beyond_a_block(kind):
    chance = random.Random(kind)
    for size in [4, 10, 13] * 10 + [31, 32] * 3:
        block, argument = chance.getrandbits(16), chance.getrandbits(size)
        data = struct.pack("<BBHI", 0, can.NACK | kind << 4, block, argument)
        asked = can.wanted(data)
        assert asked == named_by(kind, block, argument)
        assert all(frames <= can.EVERYTHING for _, frames in asked)
