# SPDX-License-Identifier: MIT
"""FrameRing: what an interrupt puts comes out in order, or is counted."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsx.errors import EINVAL
from hsx.native import FrameRing

FRAMES = st.tuples(st.integers(0, 0x7FF), st.binary(max_size=8))


def pyb_list(ident, data, remote=False, extended=False):
    """What pyb.CAN's recv() fills."""
    return [ident, extended, remote, 0, memoryview(bytearray(data))]


def drained(ring, limit=1 << 20):
    got = []
    ring.drain(lambda ident, data, now: got.append((ident, bytes(data))), 0, limit)
    return got


@given(st.lists(st.one_of(FRAMES, st.integers(0, 5))), st.integers(1, 7))
def test_ring_is_a_queue_that_refuses_when_it_is_full(steps, frames):
    """A frame is put; a number is how many are taken out."""
    ring = FrameRing(frames, 4)
    model, lost = deque(), 0
    for step in steps:
        if isinstance(step, int):
            expected = [model.popleft() for _ in range(min(step, len(model)))]
            assert drained(ring, step) == expected
        else:
            assert ring.put(pyb_list(*step))
            if len(model) < frames:
                model.append(step)
            else:
                lost += 1
    assert (drained(ring), ring.lost()) == (list(model), lost)


def test_list_of_the_other_driver_has_its_data_elsewhere():
    ring = FrameRing(2, 1)
    assert ring.put([0x701, memoryview(b"12345678"), 0, 0])
    assert drained(ring) == [(0x701, b"12345678")]


@pytest.mark.parametrize(
    "frame",
    [
        pyb_list(1, b"", remote=True),
        pyb_list(0x700 << 18, b"", extended=True),
        pyb_list(0x800, b""),
        pyb_list(1, bytes(9)),
        pyb_list(-1, b""),
    ],
)
def test_what_is_no_data_frame_of_eleven_bits_is_left_out(frame):
    ring = FrameRing(2, 4)
    assert ring.put(frame)
    assert (drained(ring), ring.lost()) == ([], 0)


def test_nothing_received_ends_a_loop():
    assert not FrameRing(1, 1).put(None)


def test_list_that_is_too_short_is_refused():
    with pytest.raises(OSError) as error:
        FrameRing(1, 4).put([1, memoryview(b""), 0, 0])
    assert error.value.errno == EINVAL


@pytest.mark.parametrize(("frames", "place"), [(0, 4), (1025, 4), (1, 5), (-1, 4), (1, -1)])
def test_sizes_out_of_range_are_refused(frames, place):
    with pytest.raises(OSError) as error:
        FrameRing(frames, place)
    assert error.value.errno == EINVAL


def test_largest_ring_holds_as_many_as_it_says():
    ring = FrameRing(1024, 4)
    for n in range(1025):
        ring.put(pyb_list(n & 0x7FF, b"%d" % n))
    assert drained(ring) == [(n, b"%d" % n) for n in range(1024)]
    assert ring.lost() == 1


def test_frames_that_come_while_one_is_taken_are_taken_too():
    ring = FrameRing(4, 4)
    ring.put(pyb_list(3, b""))
    got = []

    def take(ident, data, now):
        got.append((ident, now))
        if ident:
            ring.put(pyb_list(ident - 1, b""))

    assert ring.drain(take, 77, 10) == 4
    assert got == [(3, 77), (2, 77), (1, 77), (0, 77)]


def test_exception_of_the_reader_loses_the_frame_that_it_had():
    ring = FrameRing(4, 4)
    for n in range(3):
        ring.put(pyb_list(n, b""))
    with pytest.raises(ZeroDivisionError):
        ring.drain(lambda ident, data, now: 1 // 0, 0, 9)
    assert [ident for ident, _ in drained(ring)] == [1, 2]
