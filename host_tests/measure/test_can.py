# SPDX-License-Identifier: MIT
"""The bus in bits, against a bus written another way; and the figures that it gives."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsxctl.simulate.can_bus import ERROR_FRAME, EXTENDED, REMOTE, Bus, Station, bits
from measure import can
from measure.bench import TARGETS
from measure.can_peers import canopen_bits, isotp_bits
from measure.record import met

FORMATS = (0, EXTENDED, REMOTE, EXTENDED | REMOTE)


def on_the_wire(ident: int, data: bytes) -> str:
    """A frame as levels, bit for bit, from its start to the end of the space behind it."""
    remote = "1" if ident & REMOTE else "0"
    text = f"0{ident & 0x7FF:011b}{remote}00{len(data):04b}"
    if ident & EXTENDED:
        low = ident & 0x3FFFF
        text = f"0{ident >> 18 & 0x7FF:011b}11{low:018b}{remote}00{len(data):04b}"
    if not ident & REMOTE:
        text += "".join(f"{byte:08b}" for byte in data)
    # Remainder of a division by x15 + x14 + x10 + x8 + x7 + x4 + x3 + 1, on paper.
    rest = [int(bit) for bit in text + "0" * 15]
    for at in range(len(text)):
        if rest[at]:
            for step, bit in enumerate("1100010110011001"):
                rest[at + step] ^= int(bit)
    text += "".join(map(str, rest[-15:]))
    stuffed = ""
    for bit in text:
        stuffed += bit
        if re.search(r"(00000|11111)$", stuffed[since(stuffed) :]):
            stuffed += "1" if bit == "0" else "0"
    return stuffed + "1" + "01" + "1111111" + "111"


def since(stuffed: str) -> int:
    """Where the last run of equal levels begins: a stuff bit begins one."""
    at = len(stuffed) - 1
    while at and stuffed[at - 1] == stuffed[-1] and len(stuffed) - at < 5:
        at -= 1
    return at


@given(st.integers(0, 0x1FFFFFFF), st.binary(max_size=8), st.sampled_from(FORMATS))
def test_a_frame_takes_the_bits_of_its_levels(ident, data, flags):
    ident = (ident if flags & EXTENDED else ident & 0x7FF) | flags
    assert bits(ident, data) == len(on_the_wire(ident, data))


@given(st.integers(0, 0x7FF), st.binary(max_size=8))
def test_stuffing_is_at_most_a_fifth(ident, data):
    plain = 44 + 3 + 8 * len(data)
    assert plain <= bits(ident, data) <= plain + (34 + 8 * len(data) - 1) // 4


def test_lowest_identifier_goes_first_and_the_others_wait():
    bus = Bus()
    heard = []
    bus.listeners.append(lambda sender, frame, at: heard.append((frame[0], at)))
    for ident in (0x700, 0x100, 0x400):
        Station(bus).send((ident, b""))
    assert bus.run(lambda: len(heard) == 3, 10_000)
    assert [ident for ident, _ in heard] == [0x100, 0x400, 0x700]
    ends = [at for _, at in heard]
    assert ends[0] == bits(0x100, b"") and ends[2] == sum(bits(i, b"") for i, _ in heard)
    assert bus.busy == ends[2]


@pytest.mark.parametrize(("by_identifier", "order"), [(False, [7, 5, 6]), (True, [5, 6, 7])])
def test_controller_keeps_order_or_sorts(by_identifier, order):
    bus = Bus()
    station = Station(bus, by_identifier)
    heard = []
    bus.listeners.append(lambda sender, frame, at: heard.append(frame[0]))
    for ident in (7, 5, 6):
        station.send((ident, b""))
    bus.run(lambda: len(heard) == 3, 10_000)
    assert heard == order


def test_two_senders_of_one_identifier_jam_the_bus_until_both_are_off():
    bus = Bus()
    heard = []
    bus.listeners.append(lambda sender, frame, at: heard.append(frame))
    for data in (b"a", b"b"):
        Station(bus).send((5, data))
    assert not bus.run(lambda: len(heard) > 0, 100_000)
    assert bus.busy == 32 * ERROR_FRAME


def test_transfer_to_one_node_comes_near_to_the_limit():
    share = can.limit(can.STREAM) / can.transfer(1)
    assert met(share, TARGETS["can.share_1"]) and share < 64 / 65


def test_lost_frames_cost_little_more_than_themselves():
    most = can.limit(can.STREAM)
    shares = [most / can.transfer(1, 0.01, seed) for seed in range(3)]
    assert met(sum(shares) / 3, TARGETS["can.share_1_loss1pct"])
    assert max(shares) < 0.96


def test_fleet_takes_hardly_longer_than_one_node():
    one = can.transfer(1)
    assert 1 < can.transfer(10) / one <= TARGETS["can.ratio_10"][1]
    assert 1.1 < can.transfer(50, 0.001, 0) / one <= TARGETS["can.ratio_50"][1]


def test_peers_bring_the_same_bytes_with_less_of_the_bus():
    most = can.limit(can.STREAM)
    ours = most / can.transfer(1)
    for run, known in ((canopen_bits, 0.858), (isotp_bits, 0.862)):
        assert abs(most / run(can.STREAM, can.BITRATE, 0) - known) < 0.01
        assert most / run(can.STREAM, can.BITRATE, 5) < ours - 0.1
