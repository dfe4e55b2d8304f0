# SPDX-License-Identifier: MIT
from hypothesis import given
from hypothesis import strategies as st

from hsx import ticks

TICK = st.integers(0, (1 << 29) - 1)
SPAN = st.integers(-(1 << 28) + 1, (1 << 28) - 1)


@given(TICK, SPAN)
def test_what_was_added_is_the_difference(tick, ms):
    later = ticks.add(tick, ms)
    assert 0 <= later < 1 << 29
    assert ticks.diff(later, tick) == ms
    assert ticks.reached(later, tick) == (ms >= 0)


@given(st.integers(0, 1 << 62), st.integers(0, (1 << 28) - 1))
def test_a_clock_that_never_wraps_and_one_that_does_agree(ms, span):
    assert ticks.diff(ticks.wrap(ms + span), ticks.wrap(ms)) == span
