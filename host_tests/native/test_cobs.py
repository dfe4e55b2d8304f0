# SPDX-License-Identifier: MIT
"""Frames of a serial line through the binding: laws, and bytes of other makes."""

import binascii

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsx.errors import EINVAL
from hsxvm import cobs_decode, cobs_encode

EMPTY, GOOD, BROKEN = 4, 5, 6
contents = st.lists(st.one_of(st.binary(max_size=40), st.just(b"\7" * 254)), max_size=5).map(
    b"".join
)


def slow_frame(content: bytes) -> bytes:
    """The frame, as the paper of Cheshire and Baker says it, block by block."""
    data = content + binascii.crc32(content).to_bytes(4, "little")
    out = bytearray()
    rest = data + b"\0"
    while rest:
        block = rest[:254].split(b"\0")[0]
        out += bytes([len(block) + 1]) + block
        rest = rest[len(block) + (len(block) < 254) :]
        if rest == b"\0" and len(block) == 254:
            break  # a full last block says by itself that nothing follows
    return bytes(out) + b"\0"


def frame(content: bytes) -> bytes:
    gap = 2 + (len(content) + 4) // 254
    buf = bytearray(bytes(gap) + content + bytes(4))
    return bytes(buf[: cobs_encode(buf, 0, gap, len(content))])


def frames(line: bytes, room: int = 2048, split: int = 0) -> list:
    """What a receiver makes of a line: contents, or how a frame ended that is none."""
    state, out = bytearray(4), bytearray(room)
    found: list = []
    step = split or len(line) or 1
    for begin in range(0, len(line), step):
        at, end = begin, min(begin + step, len(line))
        while at < end:
            at = cobs_decode(state, out, line, at, end) or end
            if state[3] == GOOD:
                found.append(bytes(out[: state[0] | state[1] << 8]))
            elif state[3] > 3:
                found.append(state[3])
    return found


@given(contents.filter(bool))
def test_a_frame_is_what_the_paper_says(content):
    assert frame(content) == slow_frame(content)


@given(st.lists(contents.filter(bool), max_size=4), st.integers(0, 9))
def test_what_goes_in_comes_out_through_any_split(many, split):
    assert frames(b"".join(map(frame, many)), split=split) == many


@given(st.binary(max_size=300), contents.filter(bool))
def test_a_receiver_in_mid_rubbish_has_the_frame_after_the_next_zero(rubbish, content):
    assert frames(rubbish + b"\0" + frame(content))[-1] == content


@given(st.binary(max_size=600), st.integers(0, 40), st.integers(0, 7))
def test_any_bytes_are_taken_and_never_more_than_the_room(line, room, split):
    for found in frames(line, room, split):
        assert found in (EMPTY, BROKEN) or 0 < len(found) <= room - 4


@pytest.mark.parametrize(
    ("at", "content", "size"),
    [(0, 1, 8), (1, 2, 8), (0, 2, 95), (0, -1, 5), (0, 2, -1), (2, 1, 5)],
)
def test_a_frame_that_does_not_fit_is_refused(at, content, size):
    with pytest.raises(OSError) as refused:
        cobs_encode(bytearray(100), at, content, size)
    assert refused.value.errno == EINVAL


def test_a_frame_of_nothing_but_its_crc_is_broken():
    assert frames(frame(b"")) == [BROKEN]


def test_only_the_part_between_at_and_end_is_taken():
    state, out = bytearray(4), bytearray(20)
    line = b"rubbish" + frame(b"hello") + b"more"
    assert cobs_decode(state, out, line, 7, 7) == 0
    assert cobs_decode(state, out, line, 7, len(line) + 99) == len(line) - 4
    assert out[:5] == b"hello"


def test_a_state_that_is_too_short_is_refused():
    with pytest.raises(OSError) as refused:
        cobs_decode(bytearray(3), bytearray(20), b"\0", 0, 1)
    assert refused.value.errno == EINVAL
